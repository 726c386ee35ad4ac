// Asks the server; every refusal becomes a `Refused` with a problem that can be shown.
import type { Host, HostTrial } from './host.ts';
import { problemOf, unreachable } from './problem.ts';
import type {
  Caption,
  Delivery,
  Job,
  JobDetail,
  JobGroup,
  JobList,
  Ledger,
  MadeWebhook,
  NodeState,
  Page,
  Pipeline,
  Planned,
  Playback,
  Problem,
  Publication,
  Runner,
  Server,
  Store,
  Template,
  TimelineItem,
  Try,
  Upload,
  Video,
  Webhook,
} from './types.ts';

/** A request that was not done, with the reason to show. */
class Refused extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/** The problem inside anything that was thrown. */
export function problemIn(thrown: unknown): Problem {
  if (thrown instanceof Refused) return thrown.problem;
  return { ...unreachable(), title: 'Something went wrong', detail: String(thrown), code: 'page_error' };
}

export async function call<T>(
  method: string,
  path: string,
  body?: unknown,
  besides: Record<string, string> = {},
): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json', ...besides };
  const request: RequestInit = { method, headers, credentials: 'same-origin' };
  if (body instanceof Blob) {
    headers['content-type'] = body.type;
    request.body = body;
  } else if (body !== undefined) {
    headers['content-type'] = 'application/json';
    request.body = JSON.stringify(body);
  }
  const answer = await fetch(path, request).catch(() => {
    throw new Refused(unreachable());
  });
  if (answer.status === 204) return undefined as T;
  const text = await answer.text();
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(text);
  } catch {
    if (answer.ok) throw new Refused(problemOf(502, { detail: 'The answer was not JSON.' }));
  }
  if (!answer.ok) throw new Refused(problemOf(answer.status, parsed));
  return parsed as T;
}

const id = encodeURIComponent;

export const api = {
  server: () => call<Server>('GET', '/v1/server'),
  signIn: (token: string) => call<void>('POST', '/v1/session', { token }),
  signOut: () => call<void>('DELETE', '/v1/session'),
  upload: (upload: string) => call<Upload>('GET', `/v1/uploads/${id(upload)}`),
  videos: (before: string | null, limit: number) =>
    call<Page<Video>>('GET', `/v1/videos?limit=${limit}${before ? `&before=${id(before)}` : ''}`),
  video: (video: string) => call<Video>('GET', `/v1/videos/${id(video)}`),
  rename: (video: string, title: string) => call<Video>('PATCH', `/v1/videos/${id(video)}`, { title }),
  /** Nothing of it is encoded before this moment; without one it is as soon as it goes. */
  putOff: (video: string, moment: string) =>
    call<Video>('PATCH', `/v1/videos/${id(video)}`, { run_after: moment }),
  allow: (video: string, policy: Video['policy']) =>
    call<Video>('PATCH', `/v1/videos/${id(video)}`, { policy }),
  /** Makes the picture at a time, or a picture of one's own, the still of a video. */
  poster: (video: string, what: number | Blob) =>
    call<Video>('PUT', `/v1/videos/${id(video)}/poster`, typeof what === 'number' ? { at_s: what } : what),
  /** Adds captions in a language, or replaces those that were added before. */
  addCaptions: (video: string, language: string, said: { label: string; forced: boolean }, file: File) => {
    const query = new URLSearchParams({ forced: String(said.forced) });
    if (said.label) query.set('label', said.label);
    const words = new Blob([file], { type: 'text/vtt' });
    return call<Caption>('PUT', `/v1/videos/${id(video)}/captions/${id(language)}?${query}`, words);
  },
  removeCaptions: (video: string, caption: string) =>
    call<void>('DELETE', `/v1/videos/${id(video)}/captions/${id(caption)}`),
  remove: (video: string) => call<void>('DELETE', `/v1/videos/${id(video)}`),
  /** Makes a video again; what there is plays on. */
  encode: (video: string, pipeline: string) =>
    call<Video>('POST', `/v1/videos/${id(video)}/encode`, { pipeline }),
  cancelEncode: (video: string) => call<Video>('DELETE', `/v1/videos/${id(video)}/encode`),
  plan: (video: string, by: { pipeline: string } | { template: Template }) =>
    call<Planned>('POST', `/v1/videos/${id(video)}/plan`, by),
  pipelines: () => call<{ items: Pipeline[] }>('GET', '/v1/pipelines'),
  pipeline: (name: string) => call<Pipeline>('GET', `/v1/pipelines/${id(name)}`),
  /** Writes the next version of a pipeline; a new one only where there is none of its name. */
  putPipeline: (name: string, fields: Template, isNew: boolean) =>
    call<Pipeline>('PUT', `/v1/pipelines/${id(name)}`, fields, isNew ? { 'if-none-match': '*' } : {}),
  archivePipeline: (name: string) => call<void>('DELETE', `/v1/pipelines/${id(name)}`),
  /** `place` is where the viewer plays from already. */
  playback: (video: string, place: string | null) =>
    call<Playback>('GET', `/v1/videos/${id(video)}/playback${place ? `?place=${id(place)}` : ''}`),
  hosts: () => call<{ items: Host[] }>('GET', '/v1/hosts'),
  /** Makes a video at a host, finds it and deletes it. */
  tryHost: (host: string) => call<HostTrial>('POST', `/v1/hosts/${id(host)}/test`),
  publish: (video: string, host: string) =>
    call<Publication>('POST', `/v1/videos/${id(video)}/publications`, { host }),
  withdraw: (video: string, host: string) =>
    call<void>('DELETE', `/v1/videos/${id(video)}/publications/${id(host)}`),
  stores: () => call<Page<Store>>('GET', '/v1/stores'),
  drainStore: (store: string, on: boolean) =>
    call<Store>(on ? 'PUT' : 'DELETE', `/v1/stores/${id(store)}/drain`),
  runners: () => call<Page<Runner>>('GET', '/v1/runners'),
  invite: (name: string) =>
    call<{ registration_token: string; runner: Runner }>('POST', '/v1/runners', { name }),
  drain: (runner: string, on: boolean) =>
    call<void>('POST', `/v1/runners/${id(runner)}/${on ? 'drain' : 'undrain'}`),
  revoke: (runner: string) => call<void>('DELETE', `/v1/runners/${id(runner)}`),
  webhooks: () => call<{ items: Webhook[] }>('GET', '/v1/webhooks'),
  addWebhook: (url: string, topics: string[], description: string) =>
    call<MadeWebhook>('POST', '/v1/webhooks', { url, topics, description }),
  switchWebhook: (hook: string, active: boolean) =>
    call<Webhook>('PATCH', `/v1/webhooks/${id(hook)}`, { active }),
  rotateWebhook: (hook: string) => call<MadeWebhook>('POST', `/v1/webhooks/${id(hook)}/secret`),
  testWebhook: (hook: string) => call<Try & { delivered: boolean }>('POST', `/v1/webhooks/${id(hook)}/test`),
  /** Sends events to it again: one, or all since a moment. */
  replay: (hook: string, what: { event: string } | { since: string }) =>
    call<{ events: number; next_since: string | null }>('POST', `/v1/webhooks/${id(hook)}/replay`, what),
  removeWebhook: (hook: string) => call<void>('DELETE', `/v1/webhooks/${id(hook)}`),
  deliveries: (hook: string, state: string, before: string | null) => {
    const query = new URLSearchParams({ limit: '20' });
    if (state) query.set('state', state);
    if (before) query.set('before', before);
    return call<Page<Delivery>>('GET', `/v1/webhooks/${id(hook)}/deliveries?${query}`);
  },
  timeline: (video: string) => call<{ items: TimelineItem[] }>('GET', `/v1/videos/${id(video)}/timeline`),
  jobs: (group: JobGroup, kind: string, video: string, before: string | null) => {
    const query = new URLSearchParams({ group, limit: '50' });
    if (kind) query.set('kind', kind);
    if (video) query.set('video', video);
    if (before) query.set('before', before);
    return call<JobList>('GET', `/v1/jobs?${query}`);
  },
  job: (job: string) => call<JobDetail>('GET', `/v1/jobs/${id(job)}`),
  retryJob: (job: string) => call<Job>('POST', `/v1/jobs/${id(job)}/retry`),
  cancelJob: (job: string) => call<Job>('POST', `/v1/jobs/${id(job)}/cancel`),
  putJob: (job: string, priority: number, with_video: boolean) =>
    call<Job>('PATCH', `/v1/jobs/${id(job)}`, { priority, with_video }),
  pauseJobs: (paused: boolean) =>
    call<{ paused_at: string | null }>(paused ? 'PUT' : 'DELETE', '/v1/jobs/pause'),
  ledger: (state: string, limit: number) => call<Ledger>('GET', `/v1/ledger?state=${state}&limit=${limit}`),
  /** Tries deletes that have failed again now: all of them, or one. */
  retryDeletes: (entry?: string) =>
    call<{ hurried: number }>('POST', `/v1/ledger/${entry ? `${id(entry)}/` : ''}retry`),
  nodes: () => call<{ items: NodeState[] }>('GET', '/v1/nodes'),
  drainNode: (node: string, drained: boolean) =>
    call<NodeState>(drained ? 'PUT' : 'DELETE', `/v1/nodes/${id(node)}/drain`),
};

// Which page an address means.

export type Route =
  | { page: 'home' }
  | { page: 'video'; id: string }
  | { page: 'jobs' }
  | { page: 'job'; id: string }
  | { page: 'pipelines' }
  | { page: 'claim' }
  | { page: 'runners' }
  | { page: 'deletions' }
  | { page: 'notifications' }
  | { page: 'storage' }
  | { page: 'hosts' }
  | { page: 'costs' }
  | { page: 'not-found' };

/** Pages whose address is their name. */
const NAMED = [
  'pipelines',
  'claim',
  'runners',
  'storage',
  'hosts',
  'costs',
  'deletions',
  'notifications',
  'jobs',
] as const;

/** Reads a path; anything unknown is the not-found page. */
export function routeOf(path: string): Route {
  if (path === '/' || path === '/index.html') return { page: 'home' };
  const named = NAMED.find((name) => path === `/${name}` || path === `/${name}/`);
  if (named) return { page: named };
  const job = /^\/jobs\/(job_[0-9A-Za-z]+)\/?$/.exec(path);
  if (job?.[1]) return { page: 'job', id: job[1] };
  const video = /^\/v\/(vid_[0-9A-Za-z]+)\/?$/.exec(path);
  return video?.[1] ? { page: 'video', id: video[1] } : { page: 'not-found' };
}

/** The address of a job's page. */
export function jobPath(id: string): string {
  return `/jobs/${id}`;
}

/** The address of a video's page. */
export function videoPath(id: string): string {
  return `/v/${id}`;
}

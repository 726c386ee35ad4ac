// What the pages say about jobs and nodes.

import type { Job, JobAttempt, JobGroup, JobList, NodeState } from '../api/types.ts';
import { about, clock, took } from '../format/time.ts';

type Groups = JobList['groups'];

const GROUP_NAMES: readonly (readonly [JobGroup, string])[] = [
  ['running', 'Running'],
  ['waiting', 'Waiting'],
  ['retrying', 'Retrying'],
  ['stuck', 'Stuck'],
  ['over', 'Done'],
];

/** Kinds of jobs that a list can be narrowed to, with their names. */
export const KINDS: readonly (readonly [string, string])[] = [
  ['', 'All work'],
  ['chunk', 'Pieces of the picture'],
  ['audio', 'Sounds'],
  ['assemble', 'Joining sizes'],
  ['probe', 'Looking at files'],
  ['remux', 'Rearranging files'],
  ['poster', 'Still pictures'],
  ['storyboard', 'Small pictures'],
  ['subtitles', 'Subtitles'],
  ['fetch', 'Fetching files'],
  ['take', 'Bringing files in'],
];

/** The tabs with how many jobs each has. */
export function groupTabs(groups: Groups): { id: JobGroup; name: string }[] {
  return GROUP_NAMES.map(([id, name]) => ({
    id,
    name: groups && id !== 'over' ? `${name} (${groups[id]})` : name,
  }));
}

/** The group in an address; the first one for anything else. */
export function groupOf(text: string | null): JobGroup {
  return GROUP_NAMES.find(([id]) => id === text)?.[0] ?? 'running';
}

/** What a group without jobs says. */
export function emptyText(group: JobGroup, narrowed: boolean): string {
  if (narrowed) return 'Nothing here is of this kind.';
  return {
    running: 'Nothing runs at the moment.',
    waiting: 'Nothing waits.',
    retrying: 'Nothing has to be tried again.',
    stuck: 'Nothing is stuck.',
    over: 'Nothing has been done in the last days.',
  }[group];
}

/** How long until a moment, as a countdown: `0:42`; null when it has come. */
export function countdown(at: string, now_ms: number): string | null {
  const left_ms = Date.parse(at) - now_ms;
  return left_ms > 0 ? clock(Math.ceil(left_ms / 1000)) : null;
}

/** How fast a running job is and how long it goes on: `48 fps`, `2.3x`, `20 s left`. */
export function paceWords(job: Job): string[] {
  const words: string[] = [];
  if (job.fps !== null) words.push(`${Math.round(job.fps)} fps`);
  if (job.speed !== null) words.push(`${job.speed.toFixed(1)}x`);
  if (job.left_s !== null) words.push(`${about(job.left_s)} left`);
  return words;
}

/** What a job that does not run says about itself. */
export function standing(job: Job, now_ms: number): string {
  if (job.stopping) return 'Stopping';
  const wait_s = countdown(job.run_at, now_ms);
  switch (job.state) {
    case 'leased':
      return 'Running';
    case 'blocked':
      return job.waits?.human ?? 'Waits for other jobs.';
    case 'ready':
      if (job.waits?.code === 'retry') return wait_s ? `Next try in ${wait_s}` : 'Is tried again now';
      if (job.waits?.code === 'not_before') return wait_s ? `Begins in ${wait_s}` : 'Begins now';
      return job.waits?.human ?? 'Waits for a free slot.';
    case 'done':
      return `Done${tookWords(job)}`;
    case 'dead':
      return 'Given up';
    case 'cancelled':
      return 'Cancelled';
  }
}

function tookWords(job: Job): string {
  if (!job.started_at || !job.finished_at) return '';
  return ` in ${took(Date.parse(job.finished_at) - Date.parse(job.started_at))}`;
}

/** What can be done with a job. */
export function actions(job: Job): { retry: boolean; cancel: boolean; first: boolean; reproducer: boolean } {
  const open = job.state === 'blocked' || job.state === 'ready' || job.state === 'leased';
  return {
    retry: job.state === 'dead',
    cancel: open && !job.stopping && job.kind !== 'erase' && job.kind !== 'copy',
    first: job.state === 'blocked' || job.state === 'ready',
    reproducer: job.state === 'dead',
  };
}

/** Puts a job before all others that are usual: one above the highest that is seen, at most 100. */
export function firstPriority(jobs: readonly Job[]): number {
  return Math.min(100, Math.max(0, ...jobs.map((job) => job.priority)) + 1);
}

/** How an attempt ended, in words. */
export function attemptWords(attempt: JobAttempt, now_ms: number): string {
  const end_ms = attempt.ended_at === null ? now_ms : Date.parse(attempt.ended_at);
  const length = took(Math.max(0, end_ms - Date.parse(attempt.started_at)));
  const ends: Record<string, string> = {
    done: 'done',
    lost: 'lost with its worker',
    returned: 'given back unfinished',
    overtaken: 'taken over by a faster one',
    cancelled: 'cancelled',
    refusal: 'refused',
    damage: 'damaged source',
    crash: 'crashed',
    world: 'disturbed from outside',
  };
  if (attempt.outcome === null) return `running for ${length}`;
  return `${ends[attempt.outcome] ?? attempt.outcome} after ${length}`;
}

/** The command of a run as one types it into a shell. */
export function shell(program: string, args: readonly string[]): string {
  const word = (text: string) =>
    /^[\w\-./:=,+%@]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
  return [program.split(' ')[0] ?? program, ...args.map(word)].join(' ');
}

/** The last lines of a text. */
export function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

/** The state of a node in words. */
export function nodeWords(node: NodeState): string {
  if (node.state === 'drained')
    return node.running > 0 ? 'Drained; what runs goes on' : 'Drained; nothing runs';
  if (node.state === 'stopped') return 'Stopped';
  if (node.state === 'lost') return 'Not heard of';
  if (node.disk_full) return 'Its disk is full';
  return node.ffmpeg === null ? 'Running, without ffmpeg' : 'Running';
}

// What a host is and has, and how a video stands there, in words.
import type { Host, HostCall, HostUsage } from '../api/host.ts';
import type { Publication } from '../api/types.ts';
import { percent } from './bytes.ts';
import { about, ago } from './time.ts';

const KINDS = { cloudflare: 'Cloudflare Stream', bunny: 'Bunny Stream' } as const;

/** The service behind a host. */
export function service(host: Host): string {
  return KINDS[host.kind] ?? host.kind;
}

/** How a host is, in one word for its label, and whether that is good or bad. */
export function standing(host: Host): { word: string; tone: 'good' | 'bad' | 'neither' } {
  if (!host.health) return { word: 'known', tone: 'neither' };
  if (host.health.away_since) return { word: 'does not answer', tone: 'bad' };
  if (host.health.draining_since) return { word: 'being emptied', tone: 'neither' };
  return host.health.answered_at
    ? { word: 'well', tone: 'good' }
    : { word: 'not asked yet', tone: 'neither' };
}

/** What of ours is there, and when it answered last; of one that is away only {@link waiting} says when that was. */
export function held(health: NonNullable<Host['health']>, now_ms: number): string {
  const things = `${health.held} ${health.held === 1 ? 'video' : 'videos'} of ours there`;
  if (health.away_since || !health.answered_at) return `${things}.`;
  return `${things}; it answered ${ago(Date.parse(health.answered_at), now_ms)}.`;
}

/** The circuit breaker in words; nothing while it is closed. */
export function waiting(host: Host, now_ms: number): string {
  const health = host.health;
  if (!health?.away_since) return '';
  const since = `It stopped answering ${ago(Date.parse(health.away_since), now_ms)}. Its work waits and fails nothing`;
  const left_s = health.asked_again_at ? (Date.parse(health.asked_again_at) - now_ms) / 1000 : 0;
  return left_s > 1 ? `${since}; it is asked again in ${about(left_s)}.` : `${since}; it is asked again now.`;
}

/** That a host is being emptied, and what is left there; nothing else is said. */
export function emptied(host: Host): string {
  const health = host.health;
  if (!health?.draining_since) return '';
  const first = health.draining_to ? ` when they are ready at ${health.draining_to}` : '';
  const stay = health.only_there > 0 ? `; ${health.only_there} stay, because they are nowhere else` : '';
  return `It is being emptied: ${health.published} still go${first}${stay}.`;
}

/** What is used of what was paid for: `750 of 1,000 minutes, 12 videos`. */
export function used(usage: HostUsage): string {
  const minutes = (seconds: number) => Math.round(seconds / 60).toLocaleString('en');
  const parts = [];
  if (usage.stored_s !== null) {
    const limit = usage.limit_s === null ? '' : ` of ${minutes(usage.limit_s)}`;
    parts.push(`${minutes(usage.stored_s)}${limit} minutes`);
  }
  if (usage.videos !== null) parts.push(`${usage.videos} ${usage.videos === 1 ? 'video' : 'videos'}`);
  return parts.join(', ');
}

/** How much of what was paid for is used, from 0 to 1; null where the host does not tell. */
export function share(usage: HostUsage): number | null {
  if (usage.stored_s === null || !usage.limit_s) return null;
  return Math.min(1, usage.stored_s / usage.limit_s);
}

/** What became of a question: `delete, 120 ms`. */
export function asked(call: HostCall): string {
  return `${call.name}, ${call.took_ms} ms`;
}

const STATES = {
  waiting: 'Waits for the host',
  uploading: 'Being sent',
  processing: 'The host is at work',
  playable: 'Plays there, more sizes are being made',
  ready: 'Ready',
  failed: 'Failed',
} as const;

/** How a video stands at a host. */
export function published(one: Publication, now_ms: number): string {
  if (one.stalled_since)
    return `The host stopped answering ${ago(Date.parse(one.stalled_since), now_ms)}; it goes on by itself`;
  if (one.state === 'uploading' && one.hand_over === 'pull') return 'The host fetches it';
  if (one.state === 'uploading' && one.size_bytes) {
    return `${STATES.uploading}, ${percent(one.sent_bytes / one.size_bytes)} %`;
  }
  return one.percent === null || one.state === 'ready'
    ? STATES[one.state]
    : `${STATES[one.state]}, ${one.percent} %`;
}

/** What else is to be said of a video at a host, in sentences. */
export function notes(one: Publication): string[] {
  const all: string[] = [];
  if (one.pull_refused) all.push(`It is sent, because the host did not fetch it: ${one.pull_refused.human}`);
  if (one.original === 'differs')
    all.push('The host has other bytes than the archive: take it back, and publish it again.');
  const there = one.captions.filter(({ refused }) => !refused).map(({ language }) => language);
  if (there.length > 0) all.push(`Captions there: ${there.join(', ')}.`);
  for (const { language, refused } of one.captions)
    if (refused) all.push(`It does not take the captions in ${language}: ${refused}`);
  if (one.download?.state === 'making')
    all.push(`An MP4 is being made there, ${one.download.percent ?? 0} %.`);
  if (one.download?.state === 'failed') all.push('The host makes no MP4 of it.');
  return all;
}

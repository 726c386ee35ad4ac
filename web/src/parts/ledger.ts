// The ledger in words: what lies where, what is to go, and why it has not gone yet.
import type { LedgerEntry, LedgerSum } from '../api/types.ts';
import { bytes } from '../format/bytes.ts';
import { about } from '../format/time.ts';

const KINDS: Record<string, string> = {
  source: 'the original file',
  tail: 'the end of a file that arrived first',
  work: 'a copy to encode from',
  sidecar: 'the headers of an original',
  chunk: 'a chunk of the picture',
  audio_part: 'a piece of sound',
  rendition: 'an encoded size',
  webm: 'a WebM file',
  poster: 'a still picture',
  caption: 'captions',
  sheet: 'a sheet of the storyboard',
  preview: 'a moving picture',
};

/** What a thing is, in words; a kind of a newer server keeps its own word. */
export function kindName(kind: string): string {
  return KINDS[kind] ?? kind.replaceAll('_', ' ');
}

/** How many things there are, and how much. */
export function amount(sums: readonly LedgerSum[]): string {
  const things = sums.reduce((all, sum) => all + sum.things, 0);
  if (things === 0) return 'nothing';
  const size = bytes(sums.reduce((all, sum) => all + sum.bytes, 0));
  return `${things} ${things === 1 ? 'thing' : 'things'}, ${size}`;
}

/** When a thing is deleted, and what happened so far. */
export function waits(entry: LedgerEntry, now_ms: number): string {
  const left_s = entry.next_try_at ? (Date.parse(entry.next_try_at) - now_ms) / 1000 : 0;
  const when = left_s < 5 ? 'now' : `in ${about(left_s)}`;
  if (entry.attempts === 0) return left_s < 5 ? 'is being deleted' : `kept for viewers, deleted ${when}`;
  return `${entry.attempts} ${entry.attempts === 1 ? 'delete has' : 'deletes have'} failed, tried again ${when}`;
}

// What is said about uploads: the words of their states, the sum of all, and what a screen reader is told.
import { percent } from '../format/bytes.ts';
import type { Item } from './queue.ts';
import { bytesPerSecond, secondsLeft } from './speed.ts';

/** Why an upload waits, in a few words. */
export function waitingWords(phase: Extract<Item['phase'], { kind: 'stalled' }>, online: boolean): string {
  switch (phase.why) {
    case 'network':
      return online ? 'Waiting for network, nothing lost' : 'Offline. Waiting for network, nothing lost';
    case 'gateway':
      return 'A proxy answers, but not the server. Waiting, nothing lost';
    case 'busy':
      return 'The server still ends an earlier request. Nothing lost';
    case 'server':
      return 'The server cannot take it now. Nothing lost';
  }
}

export interface Sum {
  /** Uploads that are not over. */
  open: number;
  /** Those of them that were paused. */
  paused: number;
  share: number;
  rate: number | null;
  left_s: number | null;
}

/** All uploads that are not over as one. */
export function sumOf(items: readonly Item[], now_ms: number): Sum {
  const open = items.filter((item) => item.phase.kind !== 'done' && item.phase.kind !== 'failed');
  const size = open.reduce((sum, item) => sum + item.size_bytes, 0);
  const sent = open.reduce((sum, item) => sum + item.sent_bytes, 0);
  const rates = open.map((item) => bytesPerSecond(item.meter, now_ms)).filter((rate) => rate !== null);
  const rate = rates.length > 0 ? rates.reduce((sum, one) => sum + one, 0) : null;
  return {
    open: open.length,
    paused: open.filter((item) => item.phase.kind === 'paused').length,
    share: size > 0 ? sent / size : 0,
    rate,
    left_s: secondsLeft(size - sent, rate),
  };
}

/** What changed between two lists, in sentences for people who do not see them; pace and shares are left out. */
export function told(before: readonly Item[], after: readonly Item[]): string {
  const sentences = after.flatMap((item) => {
    const old = before.find((known) => known.key === item.key);
    if (!old) return [];
    const news = old.phase.kind === item.phase.kind ? null : phaseWords(item);
    const advice = item.advice !== null && item.advice !== old.advice ? item.advice : null;
    return [news, advice].filter((text) => text !== null).map((text) => `${item.name}: ${text}`);
  });
  return sentences.join(' ');
}

function phaseWords(item: Item): string | null {
  const { phase } = item;
  switch (phase.kind) {
    case 'sending':
    case 'queued':
      return null;
    case 'stalled':
      return 'waiting for network, nothing lost.';
    case 'paused':
      return `paused at ${percent(item.size_bytes > 0 ? item.safe_bytes / item.size_bytes : 0)} %.`;
    case 'elsewhere':
      return 'another tab is sending it.';
    case 'done':
      return 'received.';
    case 'failed':
      return `failed. ${phase.reason.human} ${phase.reason.fix}`;
  }
}

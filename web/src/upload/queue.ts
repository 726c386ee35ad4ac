// The uploads of this page as a machine: what happened goes in, the new list and what to do come out.
import { backoffMs } from '../api/backoff.ts';
import type { Reason } from '../api/types.ts';
import { type Meter, mark, stillMeter } from './speed.ts';

/** Where an upload is in its life. */
type Phase =
  | { kind: 'queued' }
  | { kind: 'sending' }
  /** The network or the server is away; what was acknowledged stays there. */
  | { kind: 'stalled'; attempt: number }
  | { kind: 'paused' }
  | { kind: 'done' }
  | { kind: 'failed'; reason: Reason };

export interface Item {
  key: string;
  name: string;
  size_bytes: number;
  sent_bytes: number;
  upload_id: string | null;
  video_id: string | null;
  meter: Meter;
  phase: Phase;
}

export type Input =
  | { what: 'add'; key: string; name: string; size_bytes: number; sent_bytes: number }
  | { what: 'refuse'; key: string; name: string; size_bytes: number; reason: Reason }
  | { what: 'named'; key: string; upload_id: string | null; video_id: string | null }
  | { what: 'progress'; key: string; sent_bytes: number; now_ms: number }
  | { what: 'stalled'; key: string }
  | { what: 'retry'; key: string }
  | { what: 'online' }
  | { what: 'pause'; key: string }
  | { what: 'resume'; key: string }
  | { what: 'cancel'; key: string }
  | { what: 'dismiss'; key: string }
  | { what: 'done'; key: string }
  | { what: 'failed'; key: string; reason: Reason };

/** What the world has to do now. */
export type Order =
  | { do: 'send'; key: string }
  | { do: 'stop'; key: string }
  | { do: 'terminate'; key: string }
  | { do: 'wait'; key: string; ms: number };

export interface Outcome {
  items: readonly Item[];
  orders: readonly Order[];
}

/** Uploads that send at the same time: more would only share the same line. */
export const SENDING_MAX = 3;

/** Takes one input; an input that does not fit the item's phase changes nothing. */
export function step(items: readonly Item[], input: Input): Outcome {
  const first = react(items, input);
  return fill(first.items, first.orders);
}

function react(items: readonly Item[], input: Input): Outcome {
  if (input.what === 'add' || input.what === 'refuse') return added(items, input);
  if (input.what === 'online') {
    return { items: items.map((item) => (item.phase.kind === 'stalled' ? queued(item) : item)), orders: [] };
  }
  const item = items.find((known) => known.key === input.key);
  if (!item) return { items, orders: [] };
  if (input.what === 'cancel' || input.what === 'dismiss') return removed(items, item, input.what);
  const [next, orders] = moved(item, input);
  return { items: items.map((known) => (known === item ? next : known)), orders };
}

function added(items: readonly Item[], input: Extract<Input, { what: 'add' | 'refuse' }>): Outcome {
  const { key, name, size_bytes } = input;
  const known = items.find((item) => item.key === key);
  if (known && known.phase.kind !== 'done' && known.phase.kind !== 'failed') {
    // The same file chosen again means "go on with it".
    return known.phase.kind === 'paused' ? react(items, { what: 'resume', key }) : { items, orders: [] };
  }
  const phase: Phase = input.what === 'add' ? { kind: 'queued' } : { kind: 'failed', reason: input.reason };
  const sent_bytes = input.what === 'add' ? input.sent_bytes : 0;
  const item: Item = {
    key,
    name,
    size_bytes,
    sent_bytes,
    upload_id: null,
    video_id: null,
    meter: stillMeter,
    phase,
  };
  return { items: [...items.filter((other) => other.key !== key), item], orders: [] };
}

function removed(items: readonly Item[], item: Item, what: 'cancel' | 'dismiss'): Outcome {
  const over = item.phase.kind === 'done' || item.phase.kind === 'failed';
  if (what === 'dismiss' && !over) return { items, orders: [] };
  const rest = items.filter((known) => known !== item);
  return { items: rest, orders: what === 'cancel' && !over ? [{ do: 'terminate', key: item.key }] : [] };
}

type Single = Exclude<Input, { what: 'add' | 'refuse' | 'online' | 'cancel' | 'dismiss' }>;

function moved(item: Item, input: Single): readonly [Item, Order[]] {
  switch (input.what) {
    case 'named':
      return [{ ...item, upload_id: input.upload_id, video_id: input.video_id }, []];
    case 'retry':
      // The phase stays, so that repeated failures wait longer and longer.
      return [item, item.phase.kind === 'stalled' ? [{ do: 'send', key: item.key }] : []];
    case 'resume':
      return [item.phase.kind === 'paused' ? queued(item) : item, []];
    case 'pause':
      return paused(item);
    case 'progress':
    case 'stalled':
    case 'done':
    case 'failed':
      // An upload that was paused or cancelled hears no more of its old request.
      return isLive(item) ? heard(item, input) : [item, []];
  }
}

function isLive(item: Item): boolean {
  return item.phase.kind === 'sending' || item.phase.kind === 'stalled';
}

function paused(item: Item): readonly [Item, Order[]] {
  const next: Item = { ...item, phase: { kind: 'paused' }, meter: stillMeter };
  if (isLive(item)) return [next, [{ do: 'stop', key: item.key }]];
  return [item.phase.kind === 'queued' ? next : item, []];
}

type Heard = Extract<Single, { what: 'progress' | 'stalled' | 'done' | 'failed' }>;

function heard(item: Item, input: Heard): readonly [Item, Order[]] {
  switch (input.what) {
    case 'progress':
      return [progressed(item, input.sent_bytes, input.now_ms), []];
    case 'stalled': {
      const attempt = item.phase.kind === 'stalled' ? item.phase.attempt + 1 : 1;
      const next: Item = { ...item, phase: { kind: 'stalled', attempt }, meter: stillMeter };
      return [next, [{ do: 'wait', key: item.key, ms: backoffMs(attempt) }]];
    }
    case 'done':
      return [{ ...item, sent_bytes: item.size_bytes, phase: { kind: 'done' } }, []];
    case 'failed':
      return [{ ...item, phase: { kind: 'failed', reason: input.reason } }, []];
  }
}

function queued(item: Item): Item {
  return { ...item, phase: { kind: 'queued' }, meter: stillMeter };
}

/** Bytes that moved prove that the network is back. */
function progressed(item: Item, sent_bytes: number, now_ms: number): Item {
  return { ...item, sent_bytes, meter: mark(item.meter, now_ms, sent_bytes), phase: { kind: 'sending' } };
}

/** Starts waiting uploads while there is room. */
function fill(items: readonly Item[], orders: readonly Order[]): Outcome {
  let free = SENDING_MAX - items.filter((item) => item.phase.kind === 'sending').length;
  const started: Order[] = [];
  const next = items.map((item): Item => {
    if (item.phase.kind !== 'queued' || free <= 0) return item;
    free -= 1;
    started.push({ do: 'send', key: item.key });
    return { ...item, phase: { kind: 'sending' } };
  });
  return { items: next, orders: [...orders, ...started] };
}

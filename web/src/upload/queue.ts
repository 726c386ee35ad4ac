// The uploads of this page as a machine: what happened goes in, the new list and what to do come out.
import { backoffMs } from '../api/backoff.ts';
import type { Reason } from '../api/types.ts';
import type { Why } from './answer.ts';
import { type Meter, mark, stillMeter } from './speed.ts';

/** Where an upload is in its life. */
type Phase =
  | { kind: 'queued' }
  | { kind: 'sending' }
  /** The network or the server is away; what was acknowledged stays there. */
  | { kind: 'stalled'; attempt: number; why: Why; note: string | null }
  | { kind: 'paused' }
  /** Another tab of this browser sends the same file. */
  | { kind: 'elsewhere' }
  | { kind: 'done' }
  | { kind: 'failed'; reason: Reason };

export interface Item {
  key: string;
  name: string;
  size_bytes: number;
  /** What has left this machine. */
  sent_bytes: number;
  /** What of it the server has written down for good. */
  safe_bytes: number;
  upload_id: string | null;
  video_id: string | null;
  meter: Meter;
  /** The likely reason why the way to the server is narrow. */
  advice: string | null;
  phase: Phase;
}

export type Input =
  | { what: 'add'; key: string; name: string; size_bytes: number; sent_bytes: number }
  | { what: 'refuse'; key: string; name: string; size_bytes: number; reason: Reason }
  | { what: 'named'; key: string; upload_id: string | null; video_id: string | null }
  | {
      what: 'progress';
      key: string;
      sent_bytes: number;
      safe_bytes: number;
      advice: string | null;
      now_ms: number;
    }
  /** Asked after a pause: how much the server has. */
  | { what: 'safe'; key: string; safe_bytes: number }
  | { what: 'stalled'; key: string; why: Why; note: string | null; after_ms: number | null }
  | { what: 'retry'; key: string }
  | { what: 'online' }
  | { what: 'elsewhere'; key: string }
  /** The other tab is done with it. */
  | { what: 'here'; key: string }
  | { what: 'pause'; key: string }
  | { what: 'pause_all' }
  | { what: 'resume'; key: string }
  | { what: 'resume_all' }
  | { what: 'cancel'; key: string }
  | { what: 'cancel_all' }
  | { what: 'dismiss'; key: string }
  /** A failed upload is tried once more. */
  | { what: 'again'; key: string }
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
  if (input.what === 'pause_all' || input.what === 'resume_all' || input.what === 'cancel_all') {
    const what = ONE_OF_ALL[input.what];
    return items.filter(isOpen).reduce<Outcome>(
      (state, { key }) => {
        const next = react(state.items, { what, key });
        return { items: next.items, orders: [...state.orders, ...next.orders] };
      },
      { items, orders: [] },
    );
  }
  const item = items.find((known) => known.key === input.key);
  if (!item) return { items, orders: [] };
  if (input.what === 'cancel' || input.what === 'dismiss') return removed(items, item, input.what);
  const [next, orders] = moved(item, input);
  return { items: items.map((known) => (known === item ? next : known)), orders };
}

const ONE_OF_ALL = { pause_all: 'pause', resume_all: 'resume', cancel_all: 'cancel' } as const;

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
    safe_bytes: sent_bytes,
    upload_id: null,
    video_id: null,
    meter: stillMeter,
    advice: null,
    phase,
  };
  return { items: [...items.filter((other) => other.key !== key), item], orders: [] };
}

function removed(items: readonly Item[], item: Item, what: 'cancel' | 'dismiss'): Outcome {
  const over = !isOpen(item);
  if (what === 'dismiss' && !over) return { items, orders: [] };
  const rest = items.filter((known) => known !== item);
  return { items: rest, orders: what === 'cancel' && !over ? [{ do: 'terminate', key: item.key }] : [] };
}

type Every = 'add' | 'refuse' | 'online' | 'pause_all' | 'resume_all' | 'cancel_all';
type Single = Exclude<Input, { what: Every | 'cancel' | 'dismiss' }>;

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
    case 'safe':
      return [item.phase.kind === 'paused' ? still({ ...item, safe_bytes: input.safe_bytes }) : item, []];
    case 'again':
      return [item.phase.kind === 'failed' ? queued(item) : item, []];
    case 'here':
      return [item.phase.kind === 'elsewhere' ? queued(item) : item, []];
    case 'progress':
    case 'elsewhere':
    case 'stalled':
    case 'done':
    case 'failed':
      // An upload that was paused or cancelled hears no more of its old request.
      return isLive(item) ? heard(item, input) : [item, []];
  }
}

function isOpen(item: Item): boolean {
  return item.phase.kind !== 'done' && item.phase.kind !== 'failed';
}

function isLive(item: Item): boolean {
  return item.phase.kind === 'sending' || item.phase.kind === 'stalled';
}

function paused(item: Item): readonly [Item, Order[]] {
  const next: Item = { ...still(item), phase: { kind: 'paused' } };
  if (isLive(item) || item.phase.kind === 'elsewhere') return [next, [{ do: 'stop', key: item.key }]];
  return [item.phase.kind === 'queued' ? next : item, []];
}

type Heard = Extract<Single, { what: 'progress' | 'elsewhere' | 'stalled' | 'done' | 'failed' }>;

function heard(item: Item, input: Heard): readonly [Item, Order[]] {
  switch (input.what) {
    case 'progress':
      return [progressed(item, input), []];
    case 'elsewhere':
      return [{ ...still(item), phase: { kind: 'elsewhere' } }, []];
    case 'stalled': {
      const attempt = item.phase.kind === 'stalled' ? item.phase.attempt + 1 : 1;
      const phase: Phase = { kind: 'stalled', attempt, why: input.why, note: input.note };
      const ms = Math.max(backoffMs(attempt), input.after_ms ?? 0);
      return [{ ...still(item), phase }, [{ do: 'wait', key: item.key, ms }]];
    }
    case 'done':
      return [
        { ...item, sent_bytes: item.size_bytes, safe_bytes: item.size_bytes, phase: { kind: 'done' } },
        [],
      ];
    case 'failed':
      return [{ ...still(item), phase: { kind: 'failed', reason: input.reason } }, []];
  }
}

function queued(item: Item): Item {
  return { ...still(item), phase: { kind: 'queued' } };
}

/** Without a request under way only what the server has counts. */
function still(item: Item): Item {
  return { ...item, sent_bytes: item.safe_bytes, meter: stillMeter };
}

/** Bytes that moved prove that the network is back; an answer that only repeats the offset does not. */
function progressed(item: Item, input: Extract<Single, { what: 'progress' }>): Item {
  const { sent_bytes, safe_bytes, advice, now_ms } = input;
  const next: Item = { ...item, sent_bytes, safe_bytes, advice };
  if (item.phase.kind === 'stalled' && sent_bytes <= item.safe_bytes) return next;
  return { ...next, meter: mark(item.meter, now_ms, sent_bytes), phase: { kind: 'sending' } };
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

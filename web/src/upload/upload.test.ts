// The queue of uploads, its pace and its memory.
import { describe, expect, test } from 'vitest';
import { backoffMs } from '../api/backoff.ts';
import { type Begun, fingerprint, forget, remember, remembered } from './fingerprint.ts';
import { type Input, type Item, SENDING_MAX, step } from './queue.ts';
import { bytesPerSecond, mark, secondsLeft, stillMeter } from './speed.ts';

const add = (key: string): Input => ({
  what: 'add',
  key,
  name: `${key}.mp4`,
  size_bytes: 100,
  sent_bytes: 0,
});
const reason = { code: 'x', human: 'h', fix: 'f' };

function run(...inputs: Input[]) {
  return inputs.reduce(
    (state, input) => {
      const { items, orders } = step(state.items, input);
      return { items, orders: [...state.orders, ...orders] };
    },
    { items: [] as readonly Item[], orders: [] as unknown[] },
  );
}
const kinds = (items: readonly Item[]) => items.map((item) => item.phase.kind);

describe('the queue', () => {
  test('starts as many uploads as may send, and the next when one is done', () => {
    const keys = Array.from({ length: SENDING_MAX + 1 }, (_, index) => `k${index}`);
    const full = run(...keys.map(add));
    expect(kinds(full.items)).toEqual([...keys.slice(1).map(() => 'sending'), 'queued']);
    const next = step(full.items, { what: 'done', key: 'k0' });
    expect(next.items.at(-1)?.phase.kind).toBe('sending');
    expect(next.orders).toEqual([{ do: 'send', key: `k${SENDING_MAX}` }]);
  });
  test('waits longer after each failure and starts afresh once bytes moved', () => {
    const { orders, items } = run(
      add('a'),
      { what: 'stalled', key: 'a' },
      { what: 'retry', key: 'a' },
      { what: 'stalled', key: 'a' },
    );
    expect(orders).toEqual([
      { do: 'send', key: 'a' },
      { do: 'wait', key: 'a', ms: 500 },
      { do: 'send', key: 'a' },
      { do: 'wait', key: 'a', ms: 1000 },
    ]);
    const moved = step(items, { what: 'progress', key: 'a', sent_bytes: 5, now_ms: 1 }).items;
    expect(kinds(moved)).toEqual(['sending']);
    expect(step(moved, { what: 'stalled', key: 'a' }).orders).toEqual([{ do: 'wait', key: 'a', ms: 500 }]);
  });
  test('goes on at once when the network is back', () => {
    const { items } = run(add('a'), { what: 'stalled', key: 'a' });
    expect(step(items, { what: 'online' }).orders).toEqual([{ do: 'send', key: 'a' }]);
  });
  test('a paused upload hears no more of its old request', () => {
    const { items, orders } = run(
      add('a'),
      { what: 'pause', key: 'a' },
      { what: 'stalled', key: 'a' },
      { what: 'progress', key: 'a', sent_bytes: 9, now_ms: 1 },
      { what: 'retry', key: 'a' },
    );
    expect(kinds(items)).toEqual(['paused']);
    expect(orders).toEqual([
      { do: 'send', key: 'a' },
      { do: 'stop', key: 'a' },
    ]);
    expect(items[0]?.sent_bytes).toBe(0);
  });
  test('the same file chosen again goes on with a paused upload and does not double a running one', () => {
    const paused = run(add('a'), { what: 'pause', key: 'a' }, add('a'));
    expect(kinds(paused.items)).toEqual(['sending']);
    expect(run(add('a'), add('a')).orders).toEqual([{ do: 'send', key: 'a' }]);
  });
  test('cancelling tells the server, dismissing a finished one does not', () => {
    expect(run(add('a'), { what: 'cancel', key: 'a' })).toEqual({
      items: [],
      orders: [
        { do: 'send', key: 'a' },
        { do: 'terminate', key: 'a' },
      ],
    });
    expect(run(add('a'), { what: 'dismiss', key: 'a' }).items).toHaveLength(1);
    expect(run(add('a'), { what: 'done', key: 'a' }, { what: 'dismiss', key: 'a' })).toEqual({
      items: [],
      orders: [{ do: 'send', key: 'a' }],
    });
  });
  test('a refused file is shown with its reason and never sent', () => {
    const { items, orders } = run({ what: 'refuse', key: 'a', name: 'a', size_bytes: 0, reason });
    expect(items[0]?.phase).toEqual({ kind: 'failed', reason });
    expect(orders).toEqual([]);
  });
});

describe('the pace', () => {
  test('is the mean of the last five seconds', () => {
    let meter = stillMeter;
    for (let s = 0; s <= 10; s += 1) meter = mark(meter, s * 1000, s < 5 ? 0 : (s - 5) * 1000);
    expect(bytesPerSecond(meter, 10_000)).toBe(1000);
    expect(meter.marks).toHaveLength(6);
  });
  test('says nothing after one mark, after silence, or when the offset went back', () => {
    expect(bytesPerSecond(mark(stillMeter, 0, 5), 0)).toBeNull();
    const two = mark(mark(stillMeter, 0, 0), 1000, 10);
    expect(bytesPerSecond(two, 1000)).toBe(10);
    expect(bytesPerSecond(two, 6001)).toBeNull();
    expect(mark(two, 2000, 3).marks).toHaveLength(1);
  });
  test('time left needs a pace', () => {
    expect(secondsLeft(100, 50)).toBe(2);
    expect(secondsLeft(100, 0)).toBeNull();
    expect(secondsLeft(100, null)).toBeNull();
  });
  test('waits double up to fifteen seconds', () =>
    expect([1, 2, 5, 6, 50].map(backoffMs)).toEqual([500, 1000, 8000, 15_000, 15_000]));
});

describe('the memory', () => {
  const begun: Begun = {
    fingerprint: 'p',
    name: 'n',
    size_bytes: 9,
    sent_bytes: 1,
    url: '/files/1',
    upload_id: null,
    video_id: null,
  };
  test('a file is known again by name, type, size and time', () => {
    const file = { name: 'a', type: 'video/mp4', size: 3, lastModified: 7 };
    expect(fingerprint(file)).toBe(fingerprint({ ...file }));
    for (const other of [{ name: 'b' }, { type: '' }, { size: 4 }, { lastModified: 8 }])
      expect(fingerprint({ ...file, ...other })).not.toBe(fingerprint(file));
  });
  test('survives rubbish in the store', () => {
    expect(remembered('{')).toEqual([]);
    expect(remembered('{}')).toEqual([]);
    expect(remembered(null)).toEqual([]);
    expect(remembered(JSON.stringify([begun, { fingerprint: 3 }, null]))).toEqual([begun]);
  });
  test('one file is remembered once', () => {
    expect(remember([begun], { ...begun, sent_bytes: 5 })).toEqual([{ ...begun, sent_bytes: 5 }]);
    expect(forget([begun], 'p')).toEqual([]);
  });
});

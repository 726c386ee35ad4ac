// The queue of uploads, its pace, its memory, and what is learned about the way to the server.
import { describe, expect, test } from 'vitest';
import { backoffMs } from '../api/backoff.ts';
import { type Answer, meaning, metadataOf } from './answer.ts';
import { type Begun, fingerprint, forget, remember, remembered } from './fingerprint.ts';
import { folderSentence, isMedia } from './media.ts';
import { advice, failed, LARGEST_BYTES, learn, type Pieces, passed, recall, unknownWay } from './pieces.ts';
import { type Input, type Item, SENDING_MAX, step } from './queue.ts';
import { bytesPerSecond, mark, secondsLeft, stillMeter } from './speed.ts';
import { sumOf, told } from './words.ts';

const add = (key: string): Input => ({
  what: 'add',
  key,
  name: `${key}.mp4`,
  size_bytes: 100,
  sent_bytes: 0,
});
const stalled = (key: string, after_ms: number | null = null): Input => ({
  what: 'stalled',
  key,
  why: 'network',
  note: null,
  after_ms,
});
const progress = (key: string, sent_bytes: number, safe_bytes = 0): Input => ({
  what: 'progress',
  key,
  sent_bytes,
  safe_bytes,
  advice: null,
  now_ms: 1,
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
    const { orders, items } = run(add('a'), stalled('a'), { what: 'retry', key: 'a' }, stalled('a'));
    expect(orders).toEqual([
      { do: 'send', key: 'a' },
      { do: 'wait', key: 'a', ms: 500 },
      { do: 'send', key: 'a' },
      { do: 'wait', key: 'a', ms: 1000 },
    ]);
    const moved = step(items, progress('a', 5)).items;
    expect(kinds(moved)).toEqual(['sending']);
    expect(step(moved, stalled('a')).orders).toEqual([{ do: 'wait', key: 'a', ms: 500 }]);
  });
  test('waits as long as the server asks', () => {
    expect(run(add('a'), stalled('a', 3000)).orders.at(-1)).toEqual({ do: 'wait', key: 'a', ms: 3000 });
  });
  test('an offset that is only repeated does not count as movement', () => {
    const { items } = run(add('a'), progress('a', 40, 10), stalled('a'), progress('a', 10, 10));
    expect(items[0]).toMatchObject({ sent_bytes: 10, phase: { kind: 'stalled', attempt: 1 } });
    expect(kinds(step(items, progress('a', 20, 20)).items)).toEqual(['sending']);
  });
  test('what is only under way is not called safe when the request ends', () => {
    for (const end of [stalled('a'), { what: 'pause', key: 'a' } as Input])
      expect(run(add('a'), progress('a', 40, 10), end).items[0]?.sent_bytes).toBe(10);
  });
  test('after a pause the server says how much it has', () => {
    const safe: Input = { what: 'safe', key: 'a', safe_bytes: 30 };
    const paused = run(add('a'), progress('a', 40), { what: 'pause', key: 'a' }, safe);
    expect(paused.items[0]).toMatchObject({ sent_bytes: 30, safe_bytes: 30, phase: { kind: 'paused' } });
    // An answer that comes after it goes on again is old.
    expect(run(add('a'), progress('a', 40), safe).items[0]).toMatchObject({ sent_bytes: 40, safe_bytes: 0 });
  });
  test('lets another tab send the same file, and goes on when that one is done', () => {
    const { items } = run(add('a'), { what: 'elsewhere', key: 'a' });
    expect(kinds(items)).toEqual(['elsewhere']);
    expect(step(items, { what: 'here', key: 'a' }).orders).toEqual([{ do: 'send', key: 'a' }]);
    expect(step(items, { what: 'pause', key: 'a' }).orders).toEqual([{ do: 'stop', key: 'a' }]);
  });
  test('pauses, resumes and cancels all that are not over', () => {
    const three = [add('a'), add('b'), add('c'), { what: 'done', key: 'c' } as Input];
    const paused = run(...three, { what: 'pause_all' });
    expect(kinds(paused.items)).toEqual(['paused', 'paused', 'done']);
    expect(kinds(step(paused.items, { what: 'resume_all' }).items)).toEqual(['sending', 'sending', 'done']);
    const cancelled = step(paused.items, { what: 'cancel_all' });
    expect(kinds(cancelled.items)).toEqual(['done']);
    expect(cancelled.orders).toEqual([
      { do: 'terminate', key: 'a' },
      { do: 'terminate', key: 'b' },
    ]);
  });
  test('a failed upload can be tried again where it is', () => {
    const { items, orders } = run(
      add('a'),
      progress('a', 40, 30),
      { what: 'failed', key: 'a', reason },
      { what: 'again', key: 'a' },
    );
    expect(items[0]).toMatchObject({ safe_bytes: 30, phase: { kind: 'sending' } });
    expect(orders).toHaveLength(2);
  });
  test('goes on at once when the network is back', () => {
    const { items } = run(add('a'), stalled('a'));
    expect(step(items, { what: 'online' }).orders).toEqual([{ do: 'send', key: 'a' }]);
  });
  test('a paused upload hears no more of its old request', () => {
    const { items, orders } = run(add('a'), { what: 'pause', key: 'a' }, stalled('a'), progress('a', 9), {
      what: 'retry',
      key: 'a',
    });
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

describe('the way to the server', () => {
  const MB = 1_000_000;
  const say = (count: number) => `${(count / MB).toFixed(1)} MB`;
  const refuse = (pieces: Pieces, status: number, gained_bytes = 0) =>
    failed(pieces, { status, tried_bytes: pieces.size_bytes, gained_bytes });
  /** Sends `count` pieces through a proxy that takes at most `limit` bytes; gives the way and the refusals. */
  function through(limit: number, count: number) {
    let pieces = unknownWay;
    let refusals = 0;
    for (let sent = 0; sent < count; ) {
      if (pieces.size_bytes > limit) {
        pieces = refuse(pieces, 413);
        refusals += 1;
      } else {
        pieces = passed(pieces, pieces.size_bytes);
        sent += 1;
      }
    }
    return { pieces, refusals };
  }

  test('a proxy that takes 1 MB is found after three refusals and named', () => {
    const { pieces, refusals } = through(1_048_576, 1);
    expect(refusals).toBe(3);
    expect(pieces.size_bytes).toBe(MB);
    expect(advice(pieces, say)).toBe(
      'Something between you and the server (a proxy) refuses requests over 1 MB; sending smaller pieces.',
    );
  });
  test('larger pieces are tried with care: few refusals, and at least two thirds of what is allowed', () => {
    for (const limit of [70_000, 1_048_576, 5 * MB, 10 * MB, 64 * MB, 99 * MB]) {
      const { pieces, refusals } = through(limit, 200);
      expect(pieces.size_bytes, String(limit)).toBeLessThanOrEqual(limit);
      expect(pieces.size_bytes, String(limit)).toBeGreaterThan(limit / 1.6);
      expect(refusals, String(limit)).toBeLessThanOrEqual(9);
    }
    expect(through(LARGEST_BYTES, 5)).toMatchObject({ refusals: 0, pieces: { fault: null } });
  });
  test('one cut is chance, the second at the same size is a pattern', () => {
    for (const status of [0, 502, 503]) {
      const once = refuse(unknownWay, status);
      expect(once.size_bytes).toBe(LARGEST_BYTES);
      expect(advice(once, say)).toBeNull();
      const twice = refuse(once, status);
      expect(twice.size_bytes).toBe(32 * MB);
      expect(advice(twice, say)).toContain('100.0 MB'.replace('.0', ''));
      expect(refuse(passed(once, 5), status).size_bytes).toBe(LARGEST_BYTES);
    }
  });
  test('a request that may not take long is made shorter at once', () => {
    for (const status of [408, 504]) {
      const pieces = refuse(unknownWay, status);
      expect(pieces.size_bytes).toBe(32 * MB);
      expect(advice(pieces, say)).toContain('gives up on requests that take long');
    }
  });
  test('a cut of which something arrived says nothing about sizes, nor does an error of the server', () => {
    for (const [status, gained] of [
      [0, 5],
      [504, 5],
      [500, 0],
    ] as const) {
      const pieces = refuse(refuse(unknownWay, status, gained), status, gained);
      expect(pieces.size_bytes).toBe(LARGEST_BYTES);
    }
  });
  test('a limit that was lifted is noticed', () => {
    let pieces = refuse(refuse(unknownWay, 413), 413);
    expect(pieces.size_bytes).toBe(8 * MB);
    for (let n = 0; n < 200; n += 1) pieces = passed(pieces, pieces.size_bytes);
    expect(pieces.size_bytes).toBeGreaterThan(20 * MB);
    pieces = { ...pieces, size_bytes: 32 * MB, refused_bytes: 32 * MB };
    for (let n = 0; n < 9; n += 1) pieces = passed(pieces, pieces.size_bytes);
    expect(pieces).toMatchObject({ size_bytes: LARGEST_BYTES, fault: null });
  });
  test('what was learned is kept for each server, for a day', () => {
    const { pieces } = through(MB, 1);
    const text = learn(learn(null, 'https://b', refuse(unknownWay, 413), 0), 'https://a', pieces, 5);
    expect(recall(text, 'https://a', 6)).toMatchObject({ size_bytes: MB, fault: 'size' });
    expect(recall(text, 'https://b', 6).size_bytes).toBe(32 * MB);
    expect(recall(text, 'https://c', 6)).toEqual(unknownWay);
    expect(recall(text, 'https://a', 25 * 3600 * 1000)).toEqual(unknownWay);
    expect(recall(learn(text, 'https://a', unknownWay, 7), 'https://a', 7)).toEqual(unknownWay);
    for (const rubbish of ['{', '{}', '[null,3,{"server":"https://a","at_ms":1,"size_bytes":5}]'])
      expect(recall(rubbish, 'https://a', 1)).toEqual(unknownWay);
  });
});

describe('an answer', () => {
  const answer = (status: number, headers: Record<string, string> = {}, text = ''): Answer => ({
    status,
    header: (name) => headers[name] ?? null,
    text,
  });
  const ours = { 'Tus-Resumable': '1.0.0' };

  test.each([
    [answer(204), { is: 'good' }],
    [answer(0), { is: 'wait', why: 'network' }],
    [answer(502), { is: 'wait', why: 'gateway' }],
    [answer(408), { is: 'wait', why: 'gateway' }],
    [
      answer(503, { ...ours, 'Retry-After': '2' }, '{"detail":"Full.","fix":"Wait."}'),
      { why: 'server', after_ms: 2000, note: 'Full. Wait.' },
    ],
    [
      answer(507, ours, '{"detail":"No space.","fix":"Free some."}'),
      { is: 'wait', note: 'No space. Free some.' },
    ],
    [answer(423, { 'Retry-After': '1' }), { is: 'wait', why: 'busy', after_ms: 1000 }],
    [answer(423, { 'Retry-After': '86400' }), { after_ms: 60_000 }],
    [answer(409, { 'Upload-Offset': '7' }), { is: 'elsewhere', at_bytes: 7 }],
    [answer(409), { is: 'wait', why: 'busy' }],
    [answer(413), { is: 'too_large' }],
    [answer(413, ours, '{"detail":"Too long."}'), { is: 'failed', reason: { human: 'Too long.' } }],
    [answer(404), { is: 'gone' }],
    [answer(410, ours), { is: 'gone' }],
    [answer(403, {}, '<html>'), { is: 'failed', reason: { code: 'http_403' } }],
  ])('%# means what it should', (given, wanted) => expect(meaning(given)).toMatchObject(wanted));
  test('metadata is written as tus wants it', () =>
    expect(metadataOf({ filename: 'Größe.mp4', empty: '', filetype: 'v' })).toBe(
      'filename R3LDtsOfZS5tcDQ=,filetype dg==',
    ));
});

describe('words', () => {
  test('of a folder only films and sounds are taken', () => {
    const file = (name: string, type = '') => isMedia({ name, type });
    expect(['a.mp4', 'b.MKV', 'c.m2ts'].map((name) => file(name))).toEqual([true, true, true]);
    expect([file('x', 'video/x'), file('.a.mp4'), file('a.jpg', 'image/jpeg'), file('ts')]).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect([folderSentence(0, 3), folderSentence(1, 0), folderSentence(2, 1)]).toEqual([
      'There is no video in this folder.',
      '1 upload added',
      '2 uploads added; 1 other file left out',
    ]);
  });
  test('changes are told once, without figures that move', () => {
    const before = run(add('a'), add('b')).items;
    const after = run(add('a'), add('b'), stalled('a'), { what: 'done', key: 'b' }).items;
    expect(told(before, after)).toBe('a.mp4: waiting for network, nothing lost. b.mp4: received.');
    expect(told(after, after)).toBe('');
    expect(told(before, step(before, progress('a', 5)).items)).toBe('');
    const narrow = step(before, { ...progress('a', 5), advice: 'Narrow.' } as Input).items;
    expect(told(before, narrow)).toBe('a.mp4: Narrow.');
    expect(told(narrow, step(narrow, { ...progress('a', 6), advice: 'Narrow.' } as Input).items)).toBe('');
  });
  test('all uploads that are not over make one sum', () => {
    const { items } = run(
      add('a'),
      add('b'),
      add('c'),
      progress('a', 50),
      { what: 'done', key: 'c' },
      { what: 'pause', key: 'b' },
    );
    expect(sumOf(items, 1)).toEqual({ open: 2, paused: 1, share: 0.25, rate: null, left_s: null });
  });
});

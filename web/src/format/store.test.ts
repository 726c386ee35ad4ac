import { expect, test } from 'vitest';
import type { Store } from '../api/types.ts';
import { compared, holding, share, standing, trouble, waiting } from './store.ts';

const store: Store = {
  id: 'b2',
  place: 's3://films',
  class: 'replica',
  domain: 'b2',
  state: 'working',
  away_since: null,
  error: null,
  objects: 3,
  bytes: 3_000_000,
  waiting_objects: 0,
  waiting_bytes: 0,
  waiting_since: null,
  bad_objects: 0,
  leaving_objects: 0,
  scrubbed_since: null,
  facts: [],
  tried: null,
  found: [],
  compared: null,
};

test('a store says how it is in a word', () => {
  expect(standing(store)).toEqual({ word: 'working', tone: 'good' });
  expect(standing({ ...store, bad_objects: 1 }).tone).toBe('bad');
  expect(standing({ ...store, state: 'away' })).toEqual({ word: 'does not answer', tone: 'bad' });
  expect(standing({ ...store, state: 'elsewhere' })).toEqual({ word: 'another place', tone: 'bad' });
  expect(standing({ ...store, state: 'lost' })).toEqual({ word: 'lost', tone: 'bad' });
  expect(standing({ ...store, state: 'draining' }).word).toBe('being emptied');
  expect(standing({ ...store, state: 'draining', objects: 0 }).word).toBe('empty');
});

test('a comparison is told so that it can be read at any age', () => {
  expect(compared(store, 0)).toBe('');
  const at = { ...store, scrubbed_since: '2026-01-01T00:00:00Z' };
  const start = Date.parse(at.scrubbed_since);
  expect(compared(at, start)).toBe('Every copy was read back and compared, the first of them just now.');
  expect(compared(at, start + 7_200_000)).toContain('the first of them 2 hours ago.');
});

test('what lies there, waits and goes is counted', () => {
  expect(holding(store)).toContain('3 objects');
  expect(holding({ ...store, objects: 1 })).toContain('1 object,');
  expect(waiting(store, 0)).toBe('');
  const lag = { ...store, waiting_objects: 1, waiting_bytes: 10, waiting_since: '2026-01-01T00:00:00Z' };
  expect(waiting(lag, Date.parse('2026-01-01T02:00:00Z'))).toMatch(
    /^1 object of .* still to be copied, the oldest came 2 hours ago/,
  );
  expect(trouble(store)).toBe('');
  expect(trouble({ ...store, bad_objects: 2, leaving_objects: 1 })).toBe(
    '2 objects bad, being made anew; 1 object being deleted',
  );
  expect([share(store), share(lag), share({ ...store, objects: 0 })]).toEqual([1, 0.75, 1]);
});

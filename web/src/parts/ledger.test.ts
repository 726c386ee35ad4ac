// The ledger in words.
import { expect, test } from 'vitest';
import type { LedgerEntry, LedgerSum } from '../api/types.ts';
import { amount, kindName, waits } from './ledger.ts';

test('a deletion says what it waits for', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const entry = (attempts: number, seconds: number) =>
    ({ attempts, next_try_at: new Date(now + seconds * 1000).toISOString() }) as LedgerEntry;
  expect(waits(entry(0, 0), now)).toBe('is being deleted');
  expect(waits(entry(0, 600), now)).toBe('kept for viewers, deleted in 10 min');
  expect(waits(entry(1, 0), now)).toBe('1 delete has failed, tried again now');
  expect(waits(entry(7, 7200), now)).toBe('7 deletes have failed, tried again in 2 h');
  const sum = (things: number, bytes: number) => ({ things, bytes }) as LedgerSum;
  expect([amount([]), amount([sum(1, 5)]), amount([sum(1, 1e6), sum(2, 2e6)])]).toEqual([
    'nothing',
    '1 thing, 5 B',
    '3 things, 3.0 MB',
  ]);
  expect([kindName('source'), kindName('new_kind')]).toEqual(['the original file', 'new kind']);
});

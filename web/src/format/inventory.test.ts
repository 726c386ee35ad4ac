// What comparing places with their rows has found, in words.
import { expect, test } from 'vitest';
import type { Compared, Findings } from '../api/inventory.ts';
import { compared, fate, sentences, verdict } from './inventory.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const FOUND: Findings = {
  holds: true,
  unproven: null,
  things: 12,
  bytes: 3_400_000_000,
  foreign: 0,
  orphans: 0,
  orphan_bytes: 0,
  orphan_cost_month: null,
  owed: 0,
  lacking: 0,
  lacking_names: [],
};
const place = (found: Partial<Findings> | null): Compared => ({
  sort: 'store',
  place: 'cellar',
  checked_at: found && '2026-11-26T11:00:00Z',
  next_at: '2026-11-27T11:00:00Z',
  found: found && { ...FOUND, ...found },
  held: 7,
  held_to_delete: 1,
  kept: [],
});

test('a place says in a few words whether it is as its rows say', () => {
  expect(verdict(place(null)).word).toBe('not compared yet');
  expect(verdict(place({}))).toEqual({ word: 'as the rows say', tone: 'good' });
  expect(verdict(place({ holds: false })).tone).toBe('bad');
  expect(verdict(place({ holds: false, unproven: 'timed out' })).word).toBe('does not tell');
});

test('a place says when it was compared and when it is again', () => {
  expect(compared(place({}), NOW)).toBe('Compared 1 hour ago, again in 23 h.');
  expect(compared({ ...place(null), next_at: null }, NOW)).toBe('Compared for the first time any moment.');
});

test('what was found is told in sentences, and what is well is not spoken of', () => {
  expect(sentences(place(null), 'EUR')).toEqual([]);
  expect(sentences(place({}), 'EUR')).toEqual(['It has 12 things, 3.4 GB.']);
  expect(sentences(place({ things: 0, bytes: 0 }), 'EUR')).toEqual(['It has nothing.']);
  const bad = { holds: false, foreign: 2, orphans: 3, orphan_bytes: 5_000_000_000, owed: 1, lacking: 1 };
  expect(sentences(place({ ...bad, orphan_cost_month: 0.03 }), 'EUR')).toEqual([
    'It has 12 things, 3.4 GB; 2 of them are not of this server and left alone.',
    '3 orphans: 5.0 GB that no row knows, 0.03 EUR a month; 1 to be deleted from then on.',
    '1 thing is not there as the rows say, and made again or asked for.',
  ]);
  expect(sentences(place({ holds: false, unproven: 'no answer' }), 'EUR')).toEqual([
    'It does not tell what it has: no answer',
    'By their rows 7 things are, or may be, there; none of that is proven.',
  ]);
});

test('an orphan says how old it is and what becomes of it', () => {
  const one = { name: 'k', thing: 'object', size_bytes: 10, first_seen_at: '2026-11-25T12:00:00Z' } as const;
  expect(fate({ ...one, goes_at: '2026-11-27T12:00:00Z' }, NOW)).toBe(
    'An object of 10 B, seen first yesterday; it goes in 24 h',
  );
  expect(fate({ ...one, goes_at: null }, NOW)).toMatch(/it stays, because delete_unknown is not set/);
  expect(fate({ ...one, size_bytes: null, first_seen_at: null, thing: 'upload', goes_at: '' }, NOW)).toBe(
    'Half an upload; it goes now',
  );
});

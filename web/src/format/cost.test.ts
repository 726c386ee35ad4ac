// Money and amounts in words.
import { expect, test } from 'vitest';
import type { PlaceCosts, WhatIf } from '../api/costs.ts';
import { amount, amounts, monthName, outcome, placeName, shareOf } from './cost.ts';

test.each([
  [0, '0.00 EUR'],
  [0.004, '0.004 EUR'],
  [0.01, '0.01 EUR'],
  [12.345, '12.35 EUR'],
  [-3, '-3.00 EUR'],
  [0.000_123, '0.00012 EUR'],
])('the amount %d is %s', (value, text) => expect(amount(value, 'EUR')).toBe(text));

test('a month has a name', () => expect(monthName('2026-11')).toBe('November 2026'));

test('what a place holds and delivers says what is only estimated', () => {
  const place = { stored_gb: 79.54, stored_minutes: 0, delivered_gb: 2250, estimated: false } as PlaceCosts;
  expect(amounts(place)).toBe('79.5 GB stored, 2250 GB delivered');
  expect(amounts({ ...place, stored_gb: 0.01, stored_minutes: 12.4, estimated: true })).toBe(
    'less than 0.1 GB, 12 min stored, about 2250 GB delivered',
  );
  expect(amounts({ ...place, stored_gb: 0 })).toBe('0.0 GB stored, 2250 GB delivered');
  expect([placeName('matinee'), placeName('bunny')]).toEqual(['This server', 'bunny']);
});

test('bars are as long as their part of the dearest', () => {
  const all = [{ forecast: 2 }, { forecast: 8 }];
  expect([shareOf(2, all), shareOf(8, all), shareOf(0, [])]).toEqual([0.25, 1, 0]);
});

test.each([
  [10, 4, 0, 'Now it costs 10.00 USD a month, there it would be 4.00 USD. That is 6.00 USD less each month.'],
  [4, 10, 0, 'Now it costs 4.00 USD a month, there it would be 10.00 USD. That is 6.00 USD more each month.'],
  [
    1,
    1,
    3,
    'Now it costs 1.00 USD a month, there it would be 1.00 USD. That makes no difference. Bringing it there costs 3.00 USD once.',
  ],
])('what if: %d now and %d there', (now, then, once, text) => {
  const found: WhatIf = {
    currency: 'USD',
    now,
    then,
    saves: now - then,
    once,
    stored_gb: 0,
    delivered_gb: 0,
  };
  expect(outcome(found)).toBe(text);
});

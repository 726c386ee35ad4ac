// Sizes, times and dates as text.
import { expect, test } from 'vitest';
import { bitrate, bytes, percent } from './bytes.ts';
import { loudness } from './loudness.ts';
import { about, ago, clock, startAt, took } from './time.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [999_499, '999 kB'],
  [999_500, '1.0 MB'],
  [9_949_999, '9.9 MB'],
  [9_950_000, '10 MB'],
  [2.1e9, '2.1 GB'],
  [5e15, '5000 TB'],
])('%d bytes are shown as %s', (count, text) => expect(bytes(count)).toBe(text));

test('a hundred percent is only said when it is done', () => {
  expect(percent(0.9999)).toBe(99);
  expect(percent(1)).toBe(100);
  expect(percent(-1)).toBe(0);
});
test('bit rates change their unit at one megabit', () => {
  expect(bitrate(999_999)).toBe('1000 kbit/s');
  expect(bitrate(4_800_000)).toBe('4.8 Mbit/s');
});
test.each([
  [0, '0:00'],
  [59.9, '0:59'],
  [3599, '59:59'],
  [3600, '1:00:00'],
  [Number.NaN, '0:00'],
  [Number.POSITIVE_INFINITY, '0:00'],
])('%d s is %s on the clock', (seconds, text) => expect(clock(seconds)).toBe(text));
test.each([
  [2, 'a few seconds'],
  [12, '15 s'],
  [54, '55 s'],
  [56, '1 min'],
  [3600, '1 h'],
  [7500, '2 h 5 min'],
  [Number.POSITIVE_INFINITY, ''],
])('%d s left is said as %s', (seconds, text) => expect(about(seconds)).toBe(text));
test.each([
  [240, '240 ms'],
  [3400, '3.4 s'],
  [125_000, '2:05'],
])('%d ms took %s', (ms, text) => expect(took(ms)).toBe(text));
test('a moment ago becomes minutes, hours and days', () => {
  expect(ago(0, 59_000)).toBe('just now');
  expect(ago(0, 60_000)).toBe('1 min ago');
  expect(ago(0, 3_600_000)).toBe('1 hour ago');
  expect(ago(0, 86_400_000)).toBe('yesterday');
  expect(ago(0, 3 * 86_400_000)).toBe('3 days ago');
});
test.each([
  ['90', 90],
  ['90s', 90],
  ['1m30s', 90],
  ['1:30', 90],
  ['1:00:05', 3605],
  ['2h', 7200],
  ['', null],
  ['soon', null],
  ['-3', null],
  [null, null],
])('?t=%s starts at %s', (text, seconds) => expect(startAt(text)).toBe(seconds));

test('the loudness of a sound says what was done about it', () => {
  expect(loudness({ measured_lufs: -23.4, gain_db: 7.4 })).toBe('−23.4 LUFS, made 7.4 dB louder');
  expect(loudness({ measured_lufs: -8, gain_db: -10 })).toBe('−8.0 LUFS, made 10.0 dB quieter');
  expect(loudness({ measured_lufs: -70, gain_db: 0 })).toBe('−70.0 LUFS, left as it was');
});

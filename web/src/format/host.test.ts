import { expect, test } from 'vitest';
import type { Host } from '../api/host.ts';
import type { Publication } from '../api/types.ts';
import { asked, emptied, held, notes, published, service, share, standing, used, waiting } from './host.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const HEALTH = {
  identity: 'bunny/133',
  away_since: null,
  asked_again_at: null,
  answered_at: '2026-11-26T11:59:00Z',
  error: null,
  error_at: null,
  held: 3,
  usage: null,
  draining_since: null,
  draining_to: null,
  published: 2,
  only_there: 1,
  calls: [],
};
const host = (health: Partial<NonNullable<Host['health']>> | null): Host => ({
  name: 'bn',
  kind: 'bunny',
  health: health && { ...HEALTH, ...health },
});

test('a host says in a word how it is', () => {
  expect(service(host(null))).toBe('Bunny Stream');
  expect(standing(host(null)).word).toBe('known');
  expect(standing(host({}))).toEqual({ word: 'well', tone: 'good' });
  expect(standing(host({ answered_at: null })).word).toBe('not asked yet');
  expect(standing(host({ away_since: '2026-11-26T11:00:00Z' })).tone).toBe('bad');
});

test('a host that is away says since when, and when it is asked again', () => {
  expect(waiting(host({}), NOW)).toBe('');
  const away = { away_since: '2026-11-26T11:00:00Z', asked_again_at: '2026-11-26T12:00:40Z' };
  expect(waiting(host(away), NOW)).toBe(
    'It stopped answering 1 hour ago. Its work waits and fails nothing; it is asked again in 40 s.',
  );
  expect(waiting(host({ ...away, asked_again_at: null }), NOW)).toMatch(/asked again now\.$/);
});

test('a host says when it answered last, or when it stopped, and never both', () => {
  const told = (changed: Parameters<typeof host>[0]) => {
    const { health } = host(changed);
    return health && held(health, NOW);
  };
  expect(told({})).toBe('3 videos of ours there; it answered 1 min ago.');
  expect(told({ held: 1, away_since: '2026-11-26T11:59:30Z' })).toBe('1 video of ours there.');
  expect(told({ answered_at: null })).toBe('3 videos of ours there.');
});

test('a host that is being emptied says what goes and what stays', () => {
  expect(emptied(host({}))).toBe('');
  const draining = host({ draining_since: '2026-11-26T11:00:00Z', draining_to: 'cf' });
  expect(standing(draining).word).toBe('being emptied');
  expect(emptied(draining)).toBe(
    'It is being emptied: 2 still go when they are ready at cf; 1 stay, because they are nowhere else.',
  );
});

test('what is used is told in minutes, where it is told', () => {
  const usage = { stored_s: 45_000, limit_s: 60_000, videos: 1, told_at: '' };
  expect(used(usage)).toBe('750 of 1,000 minutes, 1 video');
  expect(share(usage)).toBe(0.75);
  expect(used({ ...usage, limit_s: null, videos: 12 })).toBe('750 minutes, 12 videos');
  expect(share({ ...usage, limit_s: null })).toBe(null);
  expect(used({ stored_s: null, limit_s: null, videos: null, told_at: '' })).toBe('');
  expect(share({ ...usage, stored_s: 70_000 })).toBe(1);
});

test('a question is told with how long it took', () => {
  expect(asked({ name: 'delete', at: '', took_ms: 120, error: null })).toBe('delete, 120 ms');
});

test('a video at a host says how it stands there', () => {
  const one: Publication = {
    id: 'pub_1',
    host: 'bn',
    state: 'uploading',
    percent: null,
    stalled_since: null,
    sent_bytes: 5,
    size_bytes: 10,
    reason: null,
    hand_over: 'push',
    pull_refused: null,
    captions: [],
    download: null,
    original: null,
    only_place: false,
    playback: null,
    updated_at: '',
  };
  expect(published(one, NOW)).toBe('Being sent, 50 %');
  expect(published({ ...one, hand_over: 'pull' }, NOW)).toBe('The host fetches it');
  expect(notes(one)).toEqual([]);
  const pull_refused = { code: 'host_pull_refused', human: 'No.', fix: '' };
  const captions = ['de', 'en', 'sv'].map((language, n) => ({ language, refused: n === 0 ? 'No.' : null }));
  const making = { state: 'making', percent: 39, url: null } as const;
  expect(notes({ ...one, pull_refused, captions, original: 'differs', download: making })).toEqual([
    'It is sent, because the host did not fetch it: No.',
    'The host has other bytes than the archive: take it back, and publish it again.',
    'Captions there: en, sv.',
    'It does not take the captions in de: No.',
    'An MP4 is being made there, 39 %.',
  ]);
  const failed = { state: 'failed', percent: null, url: null } as const;
  expect(notes({ ...one, download: failed })).toEqual(['The host makes no MP4 of it.']);
  expect(published({ ...one, state: 'processing', percent: 40 }, NOW)).toBe('The host is at work, 40 %');
  expect(published({ ...one, state: 'ready', percent: 100 }, NOW)).toBe('Ready');
  expect(published({ ...one, stalled_since: '2026-11-26T11:00:00Z' }, NOW)).toMatch(
    /^The host stopped answering 1 hour ago;/,
  );
});

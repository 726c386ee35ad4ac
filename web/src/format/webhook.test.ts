import { expect, test } from 'vitest';
import type { Delivery, Webhook } from '../api/types.ts';
import { condition, outcome, topicsOf, trouble, waiting, where } from './webhook.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const hook: Webhook = {
  id: 'whk_1',
  url: 'https://hooks.example/a',
  topics: ['*'],
  description: '',
  active: true,
  state: 'active',
  waiting: 0,
  failures: 0,
  failing_since: null,
  rests_until: null,
  old_secret_until: null,
  created_at: '2026-01-01T00:00:00Z',
};
const delivery: Delivery = {
  event_id: 'evt_1',
  topic: 'video.ready',
  state: 'waiting',
  attempts: 0,
  next_at: '2026-01-01T12:00:05Z',
  created_at: '2026-01-01T11:00:00Z',
  ended_at: null,
  tries: [],
};

test('an address that fares well has nothing more to say', () => {
  expect(condition(hook)).toEqual({ word: 'on', tone: 'good' });
  expect([trouble(hook, NOW), waiting(hook)]).toEqual(['', 'nothing waits']);
  expect(waiting({ ...hook, waiting: 2 })).toBe('2 messages wait');
});

test('an address that does not answer says since when, and one that was switched off why', () => {
  const failing = { ...hook, failures: 3, failing_since: '2026-01-01T11:30:00Z' };
  expect(condition(failing)).toEqual({ word: 'does not answer', tone: 'bad' });
  expect(trouble(failing, NOW)).toBe(
    '3 calls in a row failed, the first 30 min ago. It is tried again by itself.',
  );
  expect(trouble({ ...hook, state: 'gone', active: false }, NOW)).toContain('410');
  expect(trouble({ ...hook, state: 'failing', active: false }, NOW)).toContain('five days');
  expect(trouble({ ...failing, state: 'paused', active: false }, NOW)).toBe('');
});

test('topics are read as people write them', () => {
  expect(topicsOf('video.*, upload.failed\n*.ready')).toEqual(['video.*', 'upload.failed', '*.ready']);
  expect(topicsOf('  ')).toEqual(['*']);
});

test('a message says where it is and a call how it went', () => {
  const told = (change: Partial<Delivery>) => where({ ...delivery, ...change }, NOW);
  expect(told({})).toBe('waits');
  expect(told({ attempts: 2 })).toBe('2 calls, the next in 5.0 s');
  expect(told({ attempts: 1, next_at: '2026-01-01T11:59:59Z' })).toBe('1 call, the next now');
  expect(told({ attempts: 1, state: 'delivered', next_at: null })).toBe('delivered after 1 call');
  expect(told({ attempts: 10, state: 'failed', next_at: null })).toBe('given up after 10 calls');
  const call = { at: '2026-01-01T12:00:00Z', took_ms: 32, status: 204, answer: '', error: null };
  expect(outcome(call)).toBe('answered 204 in 32 ms');
  expect(outcome({ ...call, status: null, error: 'nobody is there' })).toBe(
    'no answer after 32 ms: nobody is there',
  );
});

import { expect, test } from 'vitest';
import type { Runner } from '../api/types.ts';
import { condition, hardware, heard, load } from './runner.ts';

const job = { id: 'job_1', kind: 'chunk', video_id: 'vid_1', attempt: 1, progress: 0.5 };
const runner: Runner = {
  id: 'rnr_1',
  name: 'attic',
  state: 'active',
  reason: null,
  kinds: ['audio', 'chunk'],
  online: true,
  version: '0.1.0',
  ffmpeg: '5.1',
  cores: 8,
  memory_bytes: 8e9,
  engines: [],
  slots: 8,
  jobs: [],
  created_at: '2026-01-01T00:00:00Z',
  invited_until: '2026-01-02T00:00:00Z',
  seen_at: '2026-01-01T10:00:00Z',
};

test('hardware is named by what people call it, once for each kind', () => {
  const by = (engines: string[]) => hardware({ ...runner, engines });
  expect(by([])).toBe('');
  expect(by(['nvenc-00000000000000ab', 'qsv-01', 'nvenc-02'])).toBe(', encodes by NVENC and Quick Sync');
  expect(by(['quantum-1'])).toBe(', encodes by quantum');
});

const at = Date.parse('2026-01-01T10:05:00Z');

test('a runner is said to be what it is', () => {
  const words = [
    runner,
    { ...runner, jobs: [job] },
    { ...runner, online: false },
    { ...runner, state: 'draining' as const },
    { ...runner, state: 'draining' as const, jobs: [job] },
    { ...runner, state: 'invited' as const },
    { ...runner, state: 'revoked' as const },
  ].map((one) => condition(one).word);
  expect(words).toEqual([
    'waiting for work',
    'working',
    'not heard of',
    'drained',
    'draining',
    'not here yet',
    'revoked',
  ]);
});

test('its load and its last word are counted', () => {
  expect(load({ ...runner, jobs: [job, job] })).toBe('2 of 8 slots');
  expect(load({ ...runner, slots: 1 })).toBe('0 of 1 slot');
  expect(heard(runner, at)).toBe('heard of 5 min ago');
  expect(heard({ ...runner, seen_at: null }, at)).toBe('never heard of');
  expect(heard({ ...runner, state: 'invited' }, at)).toBe('waits for its first start');
  expect(heard({ ...runner, state: 'invited' }, at + 86_400_000)).toBe('its registration token is over');
});

// What is said about jobs and nodes.
import { expect, test } from 'vitest';
import type { Job, NodeState } from '../api/types.ts';
import {
  actions,
  attemptWords,
  countdown,
  firstPriority,
  groupOf,
  groupTabs,
  lastLines,
  nodeWords,
  paceWords,
  shell,
  standing,
} from './jobs.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const later = (s: number) => new Date(NOW + s * 1000).toISOString();
const job: Job = {
  id: 'job_1',
  kind: 'chunk',
  human: 'Piece 1 of the picture',
  state: 'ready',
  video_id: 'vid_1',
  title: 'Snow',
  attempt: 0,
  priority: 0,
  progress: 0,
  fps: null,
  speed: null,
  left_s: null,
  node: null,
  stopping: false,
  waits: null,
  last_error: null,
  created_at: later(-60),
  started_at: null,
  finished_at: null,
  run_at: later(-60),
};

test.each<[Partial<Job>, string]>([
  [{}, 'Waits for a free slot.'],
  [{ waits: { code: 'paused', human: 'All work is paused.' } }, 'All work is paused.'],
  [{ run_at: later(42), waits: { code: 'retry', human: 'x' } }, 'Next try in 0:42'],
  [{ waits: { code: 'retry', human: 'x' } }, 'Is tried again now'],
  [{ run_at: later(3700), waits: { code: 'not_before', human: 'x' } }, 'Begins in 1:01:40'],
  [
    { state: 'blocked', waits: { code: 'needs', human: 'Waits for 3 other jobs.' } },
    'Waits for 3 other jobs.',
  ],
  [{ state: 'leased' }, 'Running'],
  [{ state: 'leased', stopping: true }, 'Stopping'],
  [{ state: 'done', started_at: later(-5), finished_at: later(-1.5) }, 'Done in 3.5 s'],
  [{ state: 'dead' }, 'Given up'],
])('a job %j says %s', (change, text) => expect(standing({ ...job, ...change }, NOW)).toBe(text));

test('a running job says how fast it is', () => {
  expect(paceWords({ ...job, fps: 47.6, speed: 2, left_s: 20 })).toEqual(['48 fps', '2.0x', '20 s left']);
  expect(paceWords(job)).toEqual([]);
});
test('a countdown ends at its moment', () => {
  expect(countdown(later(0.2), NOW)).toBe('0:01');
  expect(countdown(later(0), NOW)).toBeNull();
});
test('what can be done with a job depends on its state', () => {
  expect(actions(job)).toEqual({ retry: false, cancel: true, first: true, reproducer: false });
  expect(actions({ ...job, state: 'dead' })).toEqual({
    retry: true,
    cancel: false,
    first: false,
    reproducer: true,
  });
  expect(actions({ ...job, state: 'leased', stopping: true }).cancel).toBe(false);
  expect(actions({ ...job, kind: 'erase' }).cancel).toBe(false);
});
test('the first place is one above all that are seen', () => {
  expect(firstPriority([job])).toBe(1);
  expect(firstPriority([job, { ...job, priority: 100 }])).toBe(100);
  expect(firstPriority([{ ...job, priority: -3 }])).toBe(1);
});
test('tabs count their jobs, and an address names one', () => {
  const names = groupTabs({ running: 2, waiting: 14, retrying: 1, stuck: 0 }).map(({ name }) => name);
  expect(names).toEqual(['Running (2)', 'Waiting (14)', 'Retrying (1)', 'Stuck (0)', 'Done']);
  expect(groupTabs(null)[0]?.name).toBe('Running');
  expect([groupOf('stuck'), groupOf('x'), groupOf(null)]).toEqual(['stuck', 'running', 'running']);
});
test('an attempt says how it ended', () => {
  const attempt = {
    attempt: 1,
    node: 'a',
    started_at: later(-10),
    ended_at: later(-8),
    error: null,
    runs: [],
  };
  expect(attemptWords({ ...attempt, outcome: 'crash' }, NOW)).toBe('crashed after 2.0 s');
  expect(attemptWords({ ...attempt, ended_at: null, outcome: null }, NOW)).toBe('running for 10.0 s');
});
test('a command can be pasted into a shell', () => {
  expect(shell('ffmpeg 5.1', ['-i', 'DATA/a b', "it's", '[0:v]x'])).toBe(
    String.raw`ffmpeg -i 'DATA/a b' 'it'\''s' '[0:v]x'`,
  );
});
test('the last lines are the last ones', () => {
  expect(lastLines('a\nb\nc\n', 2)).toBe('b\nc');
  expect(lastLines('', 2)).toBe('');
});
test('a node says how it is', () => {
  const node = { state: 'running', running: 0, disk_full: false, ffmpeg: '5.1' } as NodeState;
  expect(nodeWords(node)).toBe('Running');
  expect(nodeWords({ ...node, disk_full: true })).toBe('Its disk is full');
  expect(nodeWords({ ...node, ffmpeg: null })).toBe('Running, without ffmpeg');
  expect(nodeWords({ ...node, state: 'drained', running: 1 })).toBe('Drained; what runs goes on');
});

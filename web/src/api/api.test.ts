// Problems in words, and the reducer of the event stream.
import { expect, test } from 'vitest';
import { apply, drop, type Live, put } from './live.ts';
import { problemOf, reasonOf, unreachable } from './problem.ts';
import type { Video } from './types.ts';

function video(id: string, created_at: string, title = id): Video {
  return {
    id,
    title,
    created_at,
    upload_id: 'upl_1',
    state: 'processing',
    playable: false,
    policy: 'app',
    duration: null,
    playable_at: null,
    ready_at: null,
    reason: null,
    damaged: null,
    progress: { overall: 0, steps: [] },
    forecast: null,
    run_after: null,
    pipeline: { name: 'default', version: null },
    remake: null,
    source: null,
    renditions: [],
    judged: [],
    captions: [],
    publications: [],
    playback: null,
  };
}
const [old, young] = [video('vid_1', '2026-01-01T00:00:00Z'), video('vid_2', '2026-01-02T00:00:00Z')];
const live: Live = { videos: [young, old] };
const text = JSON.stringify;

test('a changed video keeps its place and a new one comes first', () => {
  const changed = apply(live, { topic: 'video.changed', text: text({ ...old, title: 'new' }) });
  expect(changed.live.videos.map((known) => known.title)).toEqual(['vid_2', 'new']);
  expect(changed.ask).toEqual([]);
  expect(put(live, video('vid_3', '2026-01-03T00:00:00Z')).videos[0]?.id).toBe('vid_3');
});
test('a stored event asks for its video again, by subject or payload', () => {
  expect(apply(live, { topic: 'video.ready', text: text({ subject: 'vid_1', payload: {} }) }).ask).toEqual([
    'vid_1',
  ]);
  expect(
    apply(live, {
      topic: 'upload.completed',
      text: text({ subject: 'upl_1', payload: { video_id: 'vid_9' } }),
    }).ask,
  ).toEqual(['vid_9']);
});
test('a deleted video goes away, and an answer from before does not bring it back', () => {
  expect(drop(live, 'vid_2').videos).toEqual([old]);
  const deleted = apply(live, { topic: 'video.deleted', text: text({ subject: 'vid_2' }) }).live;
  expect(deleted.videos).toEqual([old]);
  expect(put(deleted, young).videos).toEqual([old]);
  expect(put(drop(live, 'vid_2'), young).videos).toEqual([young, old]);
});
test.each(['', '{', 'null', '[]', '{"subject":"job_1"}'])('the message %j changes nothing', (body) =>
  expect(apply(live, { topic: 'video.changed', text: body })).toEqual({ live, ask: [] }),
);
test('a problem document is shown as it is, a page of a proxy by its status', () => {
  const given = {
    type: 't',
    title: 'T',
    status: 413,
    detail: 'D',
    code: 'too_large',
    fix: 'F',
    request_id: 'r',
  };
  expect(problemOf(413, given)).toEqual(given);
  const proxy = problemOf(502, null);
  expect(reasonOf(proxy)).toEqual({
    code: 'http_502',
    human: 'The server answered with status 502.',
    fix: 'Try again in a moment.',
  });
  expect(problemOf(401, {}).fix).toMatch(/sign-in link/);
  expect(unreachable().status).toBe(0);
});

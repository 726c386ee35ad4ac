// Answers and messages that cross: what was told later holds.
import { beforeEach, expect, test, vi } from 'vitest';
import type { Listener } from '../api/stream.ts';
import type { Video } from '../api/types.ts';
import { Videos } from './videos.svelte.ts';

const ID = 'vid_01';
const VIDEO = { id: ID, created_at: '2026-01-01T00:00:00.000Z' } as Video;

let answers: ((video: Video) => void)[] = [];
let listener: Listener | undefined;

vi.mock('../api/client.ts', () => ({
  api: {
    video: () =>
      new Promise((resolve) => {
        answers.push(resolve);
      }),
  },
  problemIn: (thrown: unknown) => thrown,
}));
vi.mock('../api/stream.ts', () => ({
  listen: (_: string | null, given: Listener) => {
    listener = given;
    return () => undefined;
  },
}));

beforeEach(() => {
  answers = [];
  listener = undefined;
});

const tell = (topic: string): void =>
  listener?.message({ topic, text: JSON.stringify({ subject: ID, payload: {} }) });

test.each([
  ['asked for because of other news', (videos: Videos) => videos.ask(ID)],
  ['asked for because the stream began', (videos: Videos) => videos.refresh()],
])('a video that was deleted while it was %s stays away', async (_, ask) => {
  const videos = new Videos(ID);
  videos.start();
  answers.shift()?.(VIDEO);
  await vi.waitFor(() => expect(videos.of(ID)).toEqual(VIDEO));
  const asked = ask(videos);
  tell('video.deleted');
  expect(videos.of(ID)).toBeNull();
  answers.shift()?.(VIDEO);
  await asked;
  expect(videos.of(ID)).toBeNull();
});

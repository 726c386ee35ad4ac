// A video is watched on its page while its file still arrives, and goes on when all of it is there.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBrowser, says, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { playbackOf, ready, type Server, startServer, uploadInPieces } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let clips: Clips;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  clips = openClips();
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  clips?.clear();
});

test('the player comes while the file arrives, and plays from there to the end', async () => {
  const upload = await uploadInPieces(server, await clips.path('front.mp4'));
  const page = await browser.page();
  await page.goto(`${server.url}/v/${upload.id}`);
  await says(page, 'Uploading');
  const state = () =>
    page.evaluate(() => {
      const video = document.querySelector<HTMLVideoElement>('media-controller video');
      return video && { at_s: video.currentTime, length_s: video.duration, ended: video.ended };
    });
  await upload.until(0.4);
  await until('the player is there', async () => (await state())?.length_s, 30_000, state);
  expect((await state())?.length_s, 'a part of it').toBeLessThan(30);
  expect((await playbackOf(server, upload.id))?.duration, 'the whole length is known').toBeCloseTo(40, 0);
  // The element is marked: the same one must play to the end.
  await page.evaluate(() => {
    const video = document.querySelector<HTMLVideoElement>('media-controller video');
    if (!video) return;
    video.dataset.mark = 'same';
    // All sizes may be taken over as soon as it has ended, and then it stands at its start again.
    video.addEventListener('timeupdate', () => {
      video.dataset.far_s = String(Math.max(video.currentTime, Number(video.dataset.far_s ?? 0)));
    });
    video.muted = true;
    video.playbackRate = 4;
    void video.play();
  });
  await until('it plays what is there', async () => ((await state())?.at_s ?? 0) > 4, 30_000, state);
  await upload.until(0.7);
  await until('the length grows', async () => ((await state())?.length_s ?? 0) > 20, 30_000, state);
  await upload.until(1);
  const far_s = () =>
    page.evaluate(() => Number(document.querySelector<HTMLVideoElement>('[data-mark]')?.dataset.far_s ?? 0));
  await until('it plays to the end', async () => (await far_s()) > 39, 60_000, state);
  expect(await page.evaluate(() => document.querySelector('[data-mark="same"]') !== null)).toBe(true);
  await ready(server, upload.id);
  expect(browser.faults).toEqual([]);
});

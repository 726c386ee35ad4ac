// The small pictures above the bar, the still that somebody chooses, and the seconds that a card shows.
import { readFileSync } from 'node:fs';
import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { playbackOf, ready, type Server, startServer, upload } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let clips: Clips;
let page: Page;
let id = '';

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  clips = openClips();
  page = await browser.page();
  id = await upload(server, await clips.path('bbb-480p-30s.mp4'));
  await ready(server, id);
  await until('the storyboard is made', async () => (await playbackOf(server, id))?.storyboard);
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  clips?.clear();
});

/** What stands above the bar now; null when nothing can be seen there. */
const above = () =>
  page.evaluate(() => {
    const picture = document.querySelector('media-preview-thumbnail');
    if (!(picture instanceof HTMLElement) || getComputedStyle(picture).visibility !== 'visible') return null;
    const image = picture.shadowRoot?.querySelector('img');
    if (!image?.complete || image.naturalWidth === 0) return null;
    const { left, width, top, height } = picture.getBoundingClientRect();
    const at = picture.getAttribute('mediapreviewcoords')?.split(' ').map(Number) ?? [];
    return { at, sheet: image.naturalWidth, middle: left + width / 2, bottom: top + height, width, height };
  });
const bar = () =>
  page.evaluate(() => {
    const range = document.querySelector('media-time-range');
    const box = range?.shadowRoot?.querySelector('input')?.getBoundingClientRect();
    return box && { left: box.left, top: box.top, width: box.width, height: box.height };
  });
const watched = async (): Promise<void> => {
  await page.goto(`${server.url}/v/${id}`);
  await until('cues and length are there', () =>
    page.evaluate(() => {
      const video = document.querySelector<HTMLVideoElement>('media-controller video');
      const track = [...(video?.textTracks ?? [])].find((one) => one.label === 'thumbnails');
      const bar = document.querySelector('media-time-range[mediaseekable]');
      return bar !== null && video?.readyState && track?.cues?.length === 15;
    }),
  );
};

test('the picture of a moment stands above the bar under the pointer', async () => {
  await watched();
  const box = await until('there is a bar', bar);
  const y = box.top + box.height / 2;
  await page.mouse.move(box.left + box.width * 0.1, y);
  await page.mouse.move(box.left + box.width * 0.5, y, { steps: 4 });
  // 15 s of 30: the eighth tile of two seconds each.
  const seen = await until('it is shown', above);
  expect(seen).toMatchObject({ at: [320, 90, 160, 90], sheet: 800 });
  expect(Math.abs(seen.middle - (box.left + box.width * 0.5))).toBeLessThan(3);
  expect(seen.bottom).toBeLessThanOrEqual(y);
  await page.mouse.move(box.left + box.width * 0.95, y, { steps: 4 });
  await until('the last one', async () => (await above())?.at.join() === '640,180,160,90', 5000, above);
  await page.mouse.move(box.left, box.top - 300, { steps: 3 });
  await until('it goes with the pointer', async () => (await above()) === null);
});

test('it is there for keys and for fingers, too', async () => {
  await watched();
  const box = await until('there is a bar', bar);
  await page.evaluate(() =>
    document.querySelector('media-time-range')?.shadowRoot?.querySelector('input')?.focus(),
  );
  await page.keyboard.press('End');
  const at_end = await until('it is shown for a key', above);
  expect(at_end.at).toEqual([640, 180, 160, 90]);
  await page.keyboard.press('Home');
  await until('it follows', async () => (await above())?.at.join() === '0,0,160,90', 5000, above);
  await until('it goes after a while', async () => (await above()) === null);
  const finger = await page.touchscreen.touchStart(box.left + box.width * 0.2, box.top + box.height / 2);
  await finger.move(box.left + box.width * 0.5, box.top + box.height / 2);
  await finger.move(box.left + box.width * 0.51, box.top + box.height / 2);
  await until(
    'it is shown for a finger',
    async () => (await above())?.at.join() === '320,90,160,90',
    5000,
    above,
  );
  await finger.end();
  await until('it goes with the finger', async () => (await above()) === null);
});

test('the picture on screen becomes the still, and one of a file, too', async () => {
  await watched();
  const before = (await playbackOf(server, id))?.poster;
  await page.evaluate(() => {
    const video = document.querySelector<HTMLVideoElement>('media-controller video');
    if (video) video.currentTime = 12.5;
  });
  await press(page, 'Poster');
  await says(page, '(0:12)');
  await press(page, 'Use this picture');
  await says(page, 'This is the picture now.');
  const chosen = (await playbackOf(server, id))?.poster;
  expect(chosen).not.toBe(before);
  const shown = () =>
    page.evaluate(() => document.querySelector<HTMLImageElement>('[role=tabpanel] img')?.src);
  await until('the page shows it', async () => (await shown()) === chosen, 5000, shown);
  expect(await unreachable(page)).toEqual([]);
  const input = await page.waitForSelector('input[accept="image/jpeg,image/png"]');
  await (input as unknown as { uploadFile(path: string): Promise<void> }).uploadFile(
    await clips.path('own.png'),
  );
  await until('it is taken', async () => (await playbackOf(server, id))?.poster !== chosen);
  await (input as unknown as { uploadFile(path: string): Promise<void> }).uploadFile(
    await clips.path('silent.mp4'),
  );
  await says(page, 'neither a JPEG nor a PNG');
  expect(readFileSync(await clips.path('own.png')).length).toBeGreaterThan(0);
  expect(browser.faults).toEqual([]);
});

test('a card moves under the pointer, unless its reader wants no motion', async () => {
  await page.goto(server.url);
  const card = `a[href="/v/${id}"]`;
  const moves = () =>
    page.evaluate((wanted) => {
      const video = document.querySelector<HTMLVideoElement>(`${wanted} video`);
      return video && { at_s: video.currentTime, muted: video.muted, width: video.videoWidth };
    }, card);
  await page.waitForSelector(card);
  await page.hover(card);
  const seen = await until(
    'it moves',
    async () => ((await moves())?.at_s ?? 0) > 0.2 && moves(),
    10_000,
    moves,
  );
  expect(seen).toMatchObject({ muted: true, width: 320 });
  await page.mouse.move(5, 5);
  await until('it stands still again', async () => (await moves()) === null);
  await page.emulateMediaFeatures([{ name: 'prefers-reduced-motion', value: 'reduce' }]);
  await page.hover(card);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  expect(await moves()).toBe(null);
  expect(browser.faults).toEqual([]);
});

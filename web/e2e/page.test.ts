// The pages as a visitor uses them: uploading, watching, keys, menus, downloads, deleting, and what goes wrong.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { choose, openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { playbackOf, ready, type Server, startServer, upload, videoOf } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let clips: Clips;
let page: Page;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  clips = openClips();
  page = await browser.page();
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  clips?.clear();
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

const player = () =>
  page.evaluate(() => {
    const video = document.querySelector<HTMLVideoElement>('media-controller video');
    if (!video) return null;
    const { madeBuffers } = globalThis as unknown as { madeBuffers: SourceBuffer[] };
    return {
      at_s: video.currentTime,
      paused: video.paused,
      muted: video.muted,
      rate: video.playbackRate,
      ready: video.readyState,
      width: video.videoWidth,
      duration_s: video.duration,
      sound_bytes: (video as unknown as { webkitAudioDecodedByteCount: number }).webkitAudioDecodedByteCount,
      buffers: madeBuffers.length,
    };
  });
const playing = async (from_s: number) =>
  until(
    'it plays',
    async () => {
      const state = await player();
      return state && state.ready >= 3 && state.at_s > from_s && state;
    },
    25_000,
    player,
  );
const play = () =>
  page.evaluate(() => {
    const video = document.querySelector<HTMLVideoElement>('media-controller video');
    if (video) video.muted = true;
    video?.play().catch(() => undefined);
  });
const stepDone = (label: string) =>
  until(
    `${label} is done`,
    () => page.evaluate((name) => document.querySelector(`[aria-label="${name}: done"]`) !== null, label),
    100_000,
    () => page.evaluate(() => document.querySelector('[aria-label="Progress"]')?.innerHTML.slice(0, 500)),
  );

describe.each([
  ['bbb-480p-30s.mp4', 854, 480, true],
  ['bbb-720p-5s.mp4', 1280, 720, true],
  ['bbb-trailer.webm', 640, 360, false],
] as const)('%s', (name, width, side, at_once) => {
  let id = '';

  test('is uploaded by the page, and its ribbon moves', async () => {
    await page.goto(server.url);
    await choose(page, await clips.path(name));
    await stepDone('Received');
    await stepDone('Playable');
    await until('the name leads to the video', async () => {
      id = await page.evaluate(
        (file) =>
          [...document.querySelectorAll('a')].find((link) => link.textContent === file)?.pathname.slice(3) ??
          '',
        name,
      );
      return id !== '';
    });
    const video = await videoOf(server, id);
    expect(video?.playable).toBe(true);
    // The picture of its first size is there before all sizes are.
    if (at_once) expect((await playbackOf(server, id))?.hls).toMatch(/\/[12]\/m\.m3u8$/);
  });

  test('plays and seeks on its page', async () => {
    await press(page, name);
    await until('its page is open', async () => page.url().endsWith(`/v/${id}`));
    await until('there is a player', player);
    await play();
    const state = await playing(1.2);
    expect(state.sound_bytes).toBeGreaterThan(0);
    expect(state.buffers).toBeGreaterThanOrEqual(2);
    expect(state.width).toBeGreaterThan(0);
    const playback = await playbackOf(server, id);
    const ahead_s = (playback?.duration ?? 0) - state.duration_s;
    if (playback?.growing) expect(ahead_s).toBeGreaterThan(-0.1);
    else expect(Math.abs(ahead_s)).toBeLessThan(0.1);
    await page.evaluate(() => {
      const video = document.querySelector<HTMLVideoElement>('media-controller video');
      if (video) video.currentTime = 3;
    });
    await playing(3.4);
  });

  test('is taken over in all sizes, and a size can be chosen', async () => {
    await ready(server, id);
    await stepDone(String(side));
    if (at_once && !(await page.evaluate(() => document.querySelector('#quality-button') !== null))) {
      // Who watches decides when to change; a pause does it by itself.
      await page.evaluate(() => document.querySelector<HTMLVideoElement>('media-controller video')?.pause());
    }
    await until('there is a menu', () =>
      page.evaluate(() => document.querySelector('#quality-button') !== null),
    );
    await page.evaluate(() => {
      const video = document.querySelector<HTMLVideoElement>('media-controller video');
      if (video) video.currentTime = 0;
    });
    await play();
    await page.evaluate(() => document.querySelector<HTMLElement>('#quality-button')?.click());
    const pick = (label: string) =>
      until(`${label} can be picked`, () =>
        page.evaluate((wanted) => {
          const items = [...document.querySelectorAll<HTMLElement>('#quality media-chrome-menu-item')];
          const item = items.find((one) => one.textContent?.trim() === wanted);
          item?.click();
          return item !== undefined;
        }, label),
      );
    await pick('240p');
    await until(
      'the small picture is shown',
      async () => {
        // While it is loaded again there is no picture at all.
        const seen = (await player())?.width ?? 0;
        return seen > 0 && seen <= 428;
      },
      20_000,
      player,
    );
    // Near the end no segment follows: the choice must hold for what is already in the buffer.
    await page.evaluate(() => {
      const video = document.querySelector<HTMLVideoElement>('media-controller video');
      if (video) video.currentTime = video.duration - 0.5;
    });
    await play();
    await page.evaluate(() => document.querySelector<HTMLElement>('#quality-button')?.click());
    await pick(`${side}p`);
    await until('the large picture is shown', async () => (await player())?.width === width, 20_000, player);
  });

  test('obeys the keys', async () => {
    await play();
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    await until('it runs', async () => (await player())?.paused === false, 5000, player);
    await page.keyboard.press('k');
    await until('k stops it', async () => (await player())?.paused, 5000, player);
    await page.keyboard.press('>');
    await until('> makes it faster', async () => (await player())?.rate === 1.25, 5000, player);
    await page.keyboard.press('<');
    await page.keyboard.press('m');
    await until('m gives it its sound', async () => (await player())?.muted === false, 5000, player);
    await page.keyboard.press('m');
    await page.keyboard.press('0');
    // hls.js steps over a first frame of sound that has no picture yet.
    await until('0 goes to the start', async () => ((await player())?.at_s ?? 9) < 0.1, 5000, player);
    await page.keyboard.press('5');
    const half_s = ((await videoOf(server, id))?.duration ?? 0) / 2;
    await until(
      '5 goes to the middle',
      async () => Math.abs(((await player())?.at_s ?? -9) - half_s) < 0.2,
      5000,
      player,
    );
  });

  test('gives files to keep', async () => {
    await page.click('#tab-downloads');
    const links = await until('there are links', () =>
      page.evaluate(() => {
        const all = [...document.querySelectorAll<HTMLAnchorElement>('a[download]')];
        return all.length > 1 && all.map(({ href, download }) => ({ href, download }));
      }),
    );
    for (const { href, download } of links) {
      const answer = await fetch(href, { headers: { Range: 'bytes=0-9' } });
      expect(answer.status).toBe(206);
      expect(answer.headers.get('Content-Disposition')).toContain('attachment');
      expect(answer.headers.get('Content-Disposition')).toContain(encodeURIComponent(download));
      await answer.arrayBuffer();
    }
  });

  test('is reachable for everybody', async () => {
    expect(await unreachable(page)).toEqual([]);
  });

  test('can be deleted, and then nobody can play it', async () => {
    const playback = await playbackOf(server, id);
    await page.click('#tab-danger');
    await press(page, 'Delete …');
    await press(page, 'Delete for good');
    await says(page, 'The video has been deleted.');
    expect((await fetch(`${server.url}/v1/videos/${id}/playback`)).status).toBe(404);
    expect((await fetch(playback?.hls ?? '')).status).toBe(404);
    expect((await fetch(playback?.mp4 ?? '')).status).toBe(404);
    await page.reload();
    await says(page, 'There is no such video.');
  });
});

test('a text that is named like a film is refused with the reason and the way out', async () => {
  const path = join(tmpdir(), `matinee-e2e-${process.pid}.mp4`);
  writeFileSync(path, 'This is a text.\n'.repeat(100));
  await page.goto(server.url);
  await choose(page, path);
  await until('the video has failed', () =>
    page.evaluate(() => document.querySelector('[aria-label$=": failed"]') !== null),
  );
  await press(page, `matinee-e2e-${process.pid}.mp4`);
  await says(page, 'This video could not be processed');
  const id = page.url().split('/v/')[1] ?? '';
  const { reason } = (await videoOf(server, id)) ?? {};
  expect(reason?.human).toBeTruthy();
  expect(reason?.fix).toBeTruthy();
  await says(page, reason?.human ?? '');
  await says(page, reason?.fix ?? '');
  expect(await unreachable(page)).toEqual([]);
});

test('a dropped file is taken anywhere on the page', async () => {
  await page.goto(server.url);
  await until('the page is drawn', () => page.evaluate(() => document.querySelector('.drop') !== null));
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(['not a film'], 'dropped.mp4', { type: 'video/mp4' }));
    document
      .querySelector('h1')
      ?.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await says(page, 'dropped.mp4');
  await until('it has arrived', () =>
    page.evaluate(() => document.querySelector('[aria-label="Received: done"]') !== null),
  );
});

test('the first page tells what happens elsewhere, and asks again and again where streams are blocked', async () => {
  const other = await browser.beside();
  await other.setRequestInterception(true);
  other.on('request', (request) => {
    if (request.url().includes('/v1/events/stream')) void request.abort();
    else void request.continue();
  });
  await Promise.all([page.goto(server.url), other.goto(server.url)]);
  await says(page, 'Recent videos');
  await says(other, 'Refreshing every few seconds');
  const id = await upload(server, await clips.path('silent.mp4'));
  await Promise.all([says(page, 'silent'), says(other, 'silent')]);
  await ready(server, id);
  const shown = (one: Page) =>
    until('it is shown as ready', () =>
      one.evaluate(() =>
        [...document.querySelectorAll('a[href^="/v/"]')].some((card) =>
          /silent[\s\S]*Ready/.test(card.textContent ?? ''),
        ),
      ),
    );
  await Promise.all([shown(page), shown(other)]);
  expect(await page.evaluate(() => document.body.textContent.includes('Refreshing every few'))).toBe(false);
  expect(await unreachable(page)).toEqual([]);
  await other.close();
});

test('an address that means nothing says so, with its status', async () => {
  const answer = await page.goto(`${server.url}/nothing/here`);
  expect(answer?.status()).toBe(404);
  await says(page, 'There is no such page.');
  expect(await unreachable(page)).toEqual([]);
});

test('every page is served with strict headers', async () => {
  for (const path of ['/', '/claim', '/v/vid_x', '/nothing']) {
    const { headers } = await fetch(server.url + path);
    const policy = headers.get('Content-Security-Policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("style-src 'self';");
    expect(policy).not.toContain('unsafe');
    expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
    expect(headers.get('X-Frame-Options')).toBe('DENY');
    expect(headers.get('Referrer-Policy')).toBe('same-origin');
  }
});

// The page of costs, on a phone in the dark and wide in the light; and a player that goes on when a place fails.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HTTPRequest, Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { playable, ready, type Server, startServer, upload } from './server.ts';
import { until } from './wait.ts';

const CONFIG = `
[prices]
gb_month = 40.0
[prices.cards]
attic = "aws_s3"
[[card]]
name = "aws_s3"
title = "AWS S3, as of long ago"
date = "2019-03"
source = "an old page"
per_gb_stored = 25.0
`;

let server: Server;
let browser: Window;
let page: Page;
let home = '';
let id = '';

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-costs-'));
  const attic = `[[store]]\nname = "attic"\nkind = "disk"\npath = "${home}"\n`;
  [server, browser] = await Promise.all([startServer([], CONFIG + attic), openBrowser()]);
  page = await browser.page();
  const path = join(tmpdir(), `costs-${process.pid}.mp4`);
  const args = ['-v', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=6'];
  execFileSync('ffmpeg', [
    ...args,
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-g',
    '25',
    '-pix_fmt',
    'yuv420p',
    path,
  ]);
  id = await upload(server, path);
  rmSync(path);
  await ready(server, id);
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  if (home) rmSync(home, { recursive: true, force: true });
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

/** Whether nothing is wider than the window. */
const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
/** How far the video is, in seconds. */
const moment = () => page.evaluate(() => document.querySelector('video')?.currentTime ?? 0);

/** Lets the page be told of these places before the real one. */
async function sentFirstTo(...places: { place: string; hls: string }[]): Promise<() => Promise<void>> {
  const answer = async (request: HTTPRequest) => {
    if (!new URL(request.url()).pathname.endsWith('/playback')) return request.continue();
    const real = await (await fetch(request.url(), { headers: request.headers() })).json();
    return request.respond({
      contentType: 'application/json',
      body: JSON.stringify({ ...real, places: [...places, ...real.places] }),
    });
  };
  await page.setRequestInterception(true);
  page.on('request', answer);
  return async () => {
    page.off('request', answer);
    await page.setRequestInterception(false);
  };
}

test('a player goes to the next place when one fails, and says nothing', async () => {
  const gone = { place: 'bn', hls: `${server.url}/p/nothing/${id}/2/m.m3u8` };
  const broken = { place: 'cf', hls: `${server.url}/v1/server` };
  const calm = await sentFirstTo(gone, broken);
  await page.goto(`${server.url}/v/${id}?t=2`);
  await until('it has pictures', () =>
    page.evaluate(() => (document.querySelector('video')?.readyState ?? 0) >= 2),
  );
  expect(await moment(), 'it begins where it was to begin').toBeGreaterThanOrEqual(1.9);
  await page.evaluate(() => document.querySelector('video')?.play());
  await until('it plays', async () => (await moment()) > 3);
  expect(await page.evaluate(() => document.querySelector('[role="alert"]'))).toBeNull();
  await calm();
});

test('only when all places have failed it says so, and tries them anew', async () => {
  const playback = await playable(server, id);
  expect(playback.places.map(({ place }) => place)).toEqual(['matinee']);
  let away = true;
  const answer = (request: HTTPRequest) =>
    away && request.url().includes('/p/') ? request.abort() : request.continue();
  await page.setRequestInterception(true);
  page.on('request', answer);
  await page.goto(`${server.url}/v/${id}`);
  await says(page, 'The server cannot be reached.');
  away = false;
  await press(page, 'Try again');
  await until('it plays', async () => (await moment()) > 0.5);
  page.off('request', answer);
  await page.setRequestInterception(false);
});

test('the page of costs says what this month costs, on a phone in the dark', async () => {
  await page.goto(server.claim);
  await says(page, 'as the administrator of this server');
  await page.setViewport({ width: 360, height: 740 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
  await page.goto(`${server.url}/costs`);
  await says(page, 'Expected for the whole month');
  await says(page, 'This server');
  await says(page, 'The prices of attic are of 2019-03');
  await says(page, 'Amounts in USD were counted one to one');
  await says(page, 'Dearest videos');
  expect(await unreachable(page)).toEqual([]);
  expect(await fits()).toBe(true);
  const shot = process.env.SHOTS;
  if (shot) await page.screenshot({ path: join(shot, 'costs-360-dark.png'), fullPage: true });
  await page.setViewport({ width: 1280, height: 900 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
  expect(await fits()).toBe(true);
  if (shot) await page.screenshot({ path: join(shot, 'costs-1280.png'), fullPage: true });
});

test('what if a collection moved is answered in a sentence', async () => {
  await page.evaluate(() => {
    const list = document.querySelectorAll<HTMLSelectElement>('form select')[1];
    if (!list) throw new Error('there is no list of cards');
    list.value = 'cloudflare_stream';
    list.dispatchEvent(new Event('change', { bubbles: true }));
  });
  await press(page, 'Calculate');
  await says(page, 'a month, there it would be');
  expect(await unreachable(page)).toEqual([]);
});

// Hosts on the pages, with the stand-ins of both services: published, taken back, tried, away; on a phone and in the dark.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { type Pretending, pretend } from './pretend.ts';
import { ready, type Server, startServer, upload } from './server.ts';

let server: Server;
let browser: Window;
let page: Page;
let home = '';
const pretending: Pretending[] = [];

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-hosts-'));
  pretending.push(...(await Promise.all([pretend('cloudflare', home), pretend('bunny', home)])));
  const config = pretending.map((one) => one.config).join('');
  [server, browser] = await Promise.all([startServer([], config), openBrowser()]);
  page = await browser.page();
  await page.setViewport({ width: 360, height: 740 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  for (const one of pretending) one.end();
  rmSync(home, { recursive: true, force: true });
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

/** Whether nothing is wider than the window. */
const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

/** Keeps a picture of the page, narrow and dark as it is, and wide and light. */
async function shots(name: string): Promise<void> {
  const folder = process.env.SHOTS;
  if (!folder) return;
  await page.screenshot({ path: join(folder, `${name}-360-dark.png`), fullPage: true });
  await page.setViewport({ width: 1280, height: 900 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
  await page.screenshot({ path: join(folder, `${name}-1280-light.png`), fullPage: true });
  await page.setViewport({ width: 360, height: 740 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
}

function film(): string {
  const path = join(home, 'film.mp4');
  const args = ['-v', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=3'];
  execFileSync('ffmpeg', [...args, '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', path]);
  return path;
}

test('a video is published to a host and taken back on its page', async () => {
  const id = await upload(server, film());
  await ready(server, id);
  await page.goto(server.claim);
  await says(page, 'as the administrator of this server');
  await page.goto(`${server.url}/v/${id}`);
  await press(page, 'Hosts');
  await says(page, 'Not published there');
  await press(page, 'Publish to bunny');
  await says(page, 'Take back from bunny');
  await press(page, 'Publish to cloudflare');
  await says(page, '/manifest/video.m3u8');
  await says(page, '/playlist.m3u8');
  expect(await unreachable(page)).toEqual([]);
  expect(await fits()).toBe(true);
  await shots('video-hosts');
  await press(page, 'Take back from bunny …');
  await press(page, 'Delete it there');
  await says(page, 'Publish to bunny');
});

test('the page of hosts tries one, and says when one does not answer', async () => {
  await page.goto(`${server.url}/hosts`);
  await says(page, 'Cloudflare Stream');
  await says(page, 'of 1,000 minutes');
  await says(page, '1 video of ours there');
  await press(page, 'Try bunny');
  await says(page, 'It does what it says.');
  expect(await unreachable(page)).toEqual([]);
  expect(await fits()).toBe(true);
  await shots('hosts');
  pretending[1]?.end();
  await press(page, 'Try bunny');
  await says(page, 'It does not do all that it says.');
  await says(page, 'does not answer');
  await says(page, 'Its work waits and fails nothing');
  expect(await fits()).toBe(true);
  await shots('hosts-away');
});

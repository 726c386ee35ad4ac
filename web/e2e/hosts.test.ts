// Hosts on the pages, with the stand-ins of both services: published, taken back, tried, away; on a phone and in the dark.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, shots, show, unreachable, type Window } from './browser.ts';
import { pretend, type StandIn } from './pretend.ts';
import { ready, type Server, startServer, upload } from './server.ts';

let server: Server;
let browser: Window;
let page: Page;
let home = '';
let services: StandIn[] = [];

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-hosts-'));
  services = await Promise.all([pretend('cloudflare', home), pretend('bunny', home)]);
  const config = services.map((one) => one.config).join('');
  [server, browser] = await Promise.all([startServer([], config), openBrowser()]);
  page = await browser.page();
  await show(page, 'phone');
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  for (const service of services) service.kill();
  rmSync(home, { recursive: true, force: true });
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

/** Whether nothing is wider than the window. */
const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

/** Whether the chosen tab lies whole in the row of tabs, as wide as that is. */
const tabLies = () =>
  page.evaluate(() => {
    const [row, tab] = ['[role=tablist]', '[role=tab][aria-selected=true]'].map((one) =>
      document.querySelector(one)?.getBoundingClientRect(),
    );
    return row && tab && tab.left >= row.left && tab.right <= row.right;
  });

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
  expect(await tabLies(), 'the chosen tab is in its row').toBe(true);
  await press(page, 'Publish to bunny');
  await says(page, 'Take back from bunny');
  await press(page, 'Publish to cloudflare');
  await says(page, '/manifest/video.m3u8');
  await says(page, '/playlist.m3u8');
  expect(await unreachable(page)).toEqual([]);
  expect(await fits()).toBe(true);
  await shots(page, 'video-hosts');
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
  await shots(page, 'hosts');
  services[1]?.kill();
  await press(page, 'Try bunny');
  await says(page, 'It does not do all that it says.');
  await says(page, 'does not answer');
  await says(page, 'It stopped answering just now. Its work waits and fails nothing');
  expect(await page.evaluate(() => document.body.textContent.match(/answered just now/g)?.length)).toBe(1);
  expect(await fits()).toBe(true);
  await shots(page, 'hosts-away');
});

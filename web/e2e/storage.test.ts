// The page of stores with a real one, on a phone and in the dark; and one that does not answer.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, shots, show, unreachable, type Window } from './browser.ts';
import { ready, type Server, startServer, upload } from './server.ts';

let server: Server;
let browser: Window;
let page: Page;
let far = '';

beforeAll(async () => {
  far = mkdtempSync(join(tmpdir(), 'matinee-e2e-store-'));
  const config = `[[store]]\nname = "cellar"\nkind = "disk"\npath = "${far}"\n`;
  [server, browser] = await Promise.all([startServer([], config), openBrowser()]);
  page = await browser.page();
  await show(page, 'phone');
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  rmSync(far, { recursive: true, force: true });
  rmSync(`${far}-away`, { recursive: true, force: true });
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

/** Whether nothing is wider than the window. */
const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

function film(path: string): string {
  const args = ['-v', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=3'];
  execFileSync('ffmpeg', [...args, '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', path]);
  return path;
}

test('a store shows what lies in it, on a phone in the dark', async () => {
  await ready(server, await upload(server, film(join(far, '..', `film-${process.pid}.mp4`))));
  rmSync(join(far, '..', `film-${process.pid}.mp4`));
  await page.goto(server.claim);
  await says(page, 'as the administrator of this server');
  await page.goto(`${server.url}/storage`);
  await says(page, 'Data directory');
  await says(page, 'cellar');
  await page.waitForFunction(() =>
    /\b[1-9]\d* objects/.test((document.body.textContent ?? '').split('cellar')[1] ?? ''),
  );
  expect(await unreachable(page)).toEqual([]);
  expect(await fits()).toBe(true);
  await page.click('main summary');
  await shots(page, 'storage');
});

test('what is missing in a store, and what is not of this server, is found when somebody asks', async () => {
  const files = readdirSync(far, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const lost = files.find((one) => one.parentPath.includes('/source'));
  rmSync(join(lost?.parentPath ?? '', lost?.name ?? ''));
  writeFileSync(join(far, 'notes.txt'), 'of somebody else');
  await page.goto(`${server.url}/deletions`);
  await says(page, 'as the rows say');
  await press(page, 'Compare now');
  await says(page, '1 of them is not of this server and left alone');
  await says(page, '1 thing is not there as the rows say');
  await page.click('[data-place="cellar"] summary');
  expect(await unreachable(page)).toEqual([]);
  expect(await fits()).toBe(true);
  await shots(page, 'proof');
});

test('a store that does not answer says so, and is emptied and filled again by a press', async () => {
  await page.goto(`${server.url}/storage`);
  await says(page, 'cellar');
  await press(page, 'Empty cellar');
  await says(page, 'being emptied');
  await press(page, 'Fill cellar again');
  await says(page, 'working');
  const cookie = (await page.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  if (existsSync(far)) renameSync(far, `${far}-away`);
  await upload(server, film(`${far}.mp4`), cookie);
  rmSync(`${far}.mp4`);
  await says(page, 'does not answer');
  await says(page, 'still to be copied');
  expect(await fits()).toBe(true);
  // A mount point without its disk.
  mkdirSync(far);
  await says(page, 'another place', 90_000);
  await says(page, 'matinee stores adopt cellar');
  expect(await fits()).toBe(true);
  rmdirSync(far);
  renameSync(`${far}-away`, far);
});

// The page of runners with a real one that works, on a phone and in the dark; and a video that is put off.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { binary, type Server, startServer, upload } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let page: Page;
let runner: ChildProcess | undefined;
let home = '';

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-runners-'));
  [server, browser] = await Promise.all([startServer([], '[workers]\nhere = false\n'), openBrowser()]);
  page = await browser.page();
  await page.setViewport({ width: 360, height: 740 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
});
afterAll(async () => {
  runner?.kill('SIGKILL');
  await Promise.all([server?.stop(), browser?.close()]);
  rmSync(home, { recursive: true, force: true });
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

/** Whether nothing is wider than the window. */
const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

function film(seconds: number): string {
  const path = join(home, 'film.mp4');
  const source = `testsrc2=size=1280x720:rate=25:duration=${seconds}`;
  const args = ['-v', 'error', '-y', '-f', 'lavfi', '-i', source];
  execFileSync('ffmpeg', [...args, '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', path]);
  return path;
}

test('a video that nobody works on yet is put off, and taken back', async () => {
  const video = await upload(server, film(4));
  await page.goto(`${server.url}/v/${video}`);
  await press(page, 'Encode again');
  await says(page, 'It is still being made for the first time.');
  await page.$eval('input[type="datetime-local"]', (input) => {
    input.value = '2099-01-02T03:04';
    input.dispatchEvent(new Event('input', { bubbles: true }));
  });
  await press(page, 'Put off');
  await says(page, 'It is encoded from');
  expect(await unreachable(page)).toEqual([]);
  expect(await fits()).toBe(true);
  await press(page, 'Encode now');
  await says(page, 'Not before');
});

test('the link of the administrator signs in', async () => {
  await page.goto(server.claim);
  await says(page, 'as the administrator of this server');
});

test('a runner that works shows its slots and its job on a phone in the dark', async () => {
  const cookie = (await page.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  // Long enough that a page which asks every three seconds sees the work, on a quick machine, too.
  const video = await upload(server, film(60), cookie);
  await page.goto(`${server.url}/runners`);
  await says(page, 'One more machine');
  await page.type('input[placeholder="attic"]', 'cellar');
  await press(page, 'Make a registration token');
  await says(page, 'Run this on the other machine');
  const command = await page.evaluate(() => document.body.textContent ?? '');
  const token = /--token (mat_[\w-]+)/.exec(command)?.[1];
  expect(token).toBeTruthy();
  const words = ['runner', '--server', server.url, '--token', token ?? '', '--slots', '2'];
  runner?.kill('SIGKILL');
  const data = mkdtempSync(join(home, 'runner-'));
  const log = join(data, 'said.log');
  const said = openSync(log, 'a');
  runner = spawn(binary(), [...words, '--data', data], { cwd: home, stdio: ['ignore', said, said] });
  closeSync(said);
  await until(
    'a job has begun',
    async () => {
      const seen = await page.evaluate(() => document.body.textContent ?? '');
      return /chunk of a video/.test(seen) && /2 of 2|1 of 2/.test(seen);
    },
    90_000,
    async () => readFileSync(log, 'utf8'),
  );
  expect(await unreachable(page)).toEqual([]);
  expect(await fits()).toBe(true);
  const shot = process.env.SHOTS;
  if (shot) await page.screenshot({ path: join(shot, 'runners-360-dark.png'), fullPage: true });
  const state = async () => {
    const asked = async (id: string) =>
      ((await (await fetch(`/v1/videos/${id}`)).json()) as { state: string }).state;
    return page.evaluate(asked, video);
  };
  await until('its work is done', async () => (await state()) === 'ready', 180_000);
}, 400_000);

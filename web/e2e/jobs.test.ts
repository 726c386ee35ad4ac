// The jobs page and the page of one job, by a real server that encodes.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { ready, type Server, startServer, upload, videoOf } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let page: Page;
let home = '';

/** A file that takes a moment to encode, and one that is no video. */
function clip(name: string, seconds: number, size = '640x360'): string {
  const path = join(home, name);
  const source = `testsrc2=size=${size}:rate=25:duration=${seconds}`;
  const args = ['-v', 'error', '-y', '-f', 'lavfi', '-i', source, '-c:v', 'libx264', '-preset', 'ultrafast'];
  execFileSync('ffmpeg', [...args, '-pix_fmt', 'yuv420p', '-g', '50', path]);
  return path;
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-jobs-'));
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  page = await browser.page();
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  rmSync(home, { recursive: true, force: true });
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

const tab = (name: string) => press(page, name);
/** The texts of the rows that are shown. */
const rows = () =>
  page.evaluate(() => [...document.querySelectorAll('li[data-job]')].map((row) => row.textContent ?? ''));
/** Whether nothing is wider than the window. */
const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

async function order(method: string, path: string): Promise<void> {
  const answer = await fetch(server.url + path, { method });
  expect(answer.status).toBe(200);
}

test('work is paused and resumed, and the page says why a job waits', async () => {
  await page.goto(server.url);
  await says(page, 'Drop a video here.');
  await press(page, 'Jobs');
  await says(page, 'Nothing runs at the moment.');
  expect(new URL(page.url()).pathname).toBe('/jobs');
  await press(page, 'Pause all work');
  await says(page, 'No new work begins.');
  const video = await upload(server, clip('snow.mp4', 8));
  await says(page, 'Waiting (1)');
  await tab('Waiting');
  await says(page, 'All work is paused.');
  expect(await rows()).toHaveLength(1);
  expect(await unreachable(page)).toEqual([]);
  await press(page, 'Resume all work');
  await until('it is gone from the list', async () => (await rows()).every((row) => !row.includes('paused')));
  await ready(server, video);
});

test('a running job shows how far and how fast it is, without a reload', async () => {
  await page.goto(`${server.url}/jobs`);
  // Its pieces take several seconds each also where nothing else runs: progress is told once a second.
  const video = await upload(server, clip('long.mp4', 60, '1280x720'));
  await until(
    'a piece runs with its pace',
    async () => (await rows()).some((row) => /Piece \d+ of the picture.*\d+ %.*fps.*\d\.\dx/s.test(row)),
    60_000,
    async () => (await rows()).join('\n'),
  );
  expect(await unreachable(page)).toEqual([]);
  await says(page, 'Servers');
  await says(page, 'of memory promised to jobs');
  await page.evaluate(() =>
    document.querySelector<HTMLAnchorElement>('li[data-job] a[href^="/jobs/"]')?.click(),
  );
  await says(page, 'Attempt 1');
  await says(page, 'ffmpeg');
  await says(page, '-hide_banner');
  expect(await unreachable(page)).toEqual([]);
  const forecast = (await videoOf(server, video))?.forecast;
  expect(forecast === null || (forecast?.ready_in_s ?? 0) > 0).toBe(true);
  await ready(server, video);
});

test('a job that was given up says why, hands out its reproducer, and is run again', async () => {
  await page.goto(`${server.url}/jobs?group=stuck`);
  // An encoder that is killed three times: the page sees it retry, and then give up.
  const video = await upload(server, clip('dead.mp4', 40));
  const job = await until('a piece is planned', async () => {
    const answer = await fetch(`${server.url}/v1/jobs?video=${video}&limit=100`);
    const { items } = (await answer.json()) as { items: { id: string; human: string }[] };
    return items.find(({ human }) => human === 'Piece 4 of the picture')?.id;
  });
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await until(`attempt ${attempt} is killed`, async () => killed(`${job}-${attempt}`), 60_000);
    if (attempt === 1) {
      await says(page, 'Retrying (1)');
      await tab('Retrying');
      await says(page, 'Next try in 0:');
    }
  }
  await says(page, 'Stuck (1)', 30_000);
  await tab('Stuck');
  await says(page, 'Given up');
  expect(await unreachable(page)).toEqual([]);
  await page.evaluate(() =>
    document.querySelector<HTMLAnchorElement>('li[data-job] a[href^="/jobs/"]')?.click(),
  );
  await says(page, 'This job was given up');
  await says(page, 'Attempt 3');
  const href = await page.evaluate(
    () => document.querySelector<HTMLAnchorElement>('a[download]')?.href ?? '',
  );
  const archive = await fetch(href);
  expect([archive.status, archive.headers.get('content-type')]).toEqual([200, 'application/x-tar']);
  expect(new TextDecoder().decode((await archive.arrayBuffer()).slice(0, 10))).toBe('README.txt');
  expect(await unreachable(page)).toEqual([]);
  await press(page, 'Run again');
  await ready(server, video);
  await says(page, 'Done in');
});

test('a job is cancelled only after the question, by keyboard alone', async () => {
  await order('PUT', '/v1/jobs/pause');
  const video = await upload(server, clip('unwanted.mp4', 4));
  await page.goto(`${server.url}/jobs?group=waiting`);
  await until('it waits', async () => (await rows()).length === 1);
  await page.focus('[aria-label^="Cancel:"]');
  await page.keyboard.press('Enter');
  await says(page, 'Cancel it, with all that needs it?');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Keep');
  await page.keyboard.press('Escape');
  await until('the focus is back', () =>
    page.evaluate(() => document.activeElement?.ariaLabel?.startsWith('Cancel:') ?? false),
  );
  await press(page, 'Do first');
  await says(page, 'priority 1');
  await page.focus('[aria-label^="Cancel:"]');
  await page.keyboard.press('Enter');
  await press(page, 'Cancel job');
  await until('it is gone', async () => (await rows()).length === 0);
  await order('DELETE', '/v1/jobs/pause');
  expect((await videoOf(server, video))?.state).not.toBe('ready');
});

test('it fits a narrow screen, light and dark', async () => {
  await page.setViewport({ width: 360, height: 740 });
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(`${server.url}/jobs?group=over`);
    await until('there are rows', async () => (await rows()).length > 3);
    expect(await fits(), scheme).toBe(true);
    expect(await unreachable(page)).toEqual([]);
    await page.evaluate(() => {
      const done = [...document.querySelectorAll('li[data-job]')].find((row) =>
        row.textContent?.includes('Done in'),
      );
      done?.querySelector<HTMLAnchorElement>('a[href^="/jobs/"]')?.click();
    });
    await says(page, 'Attempt 1');
    expect(await fits(), scheme).toBe(true);
    expect(await unreachable(page)).toEqual([]);
  }
});

test('an administrator drains a server and resumes it', async () => {
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(`${server.url}/jobs`);
  await says(page, 'Servers');
  expect(await page.$('[aria-label^="Drain"]'), 'a newcomer may only look').toBeNull();
  await page.goto(server.claim);
  await says(page, 'You are signed in.');
  await page.goto(`${server.url}/jobs`);
  await press(page, 'Drain');
  await says(page, 'Drained; nothing runs');
  await press(page, 'Resume ');
  await until('it runs again', () =>
    page.evaluate(() => document.querySelector('[aria-label^="Drain"]') !== null),
  );
});

/** Ends the encoder that works in this folder; whether there was one. */
function killed(folder: string): boolean {
  let found = false;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'ffmpeg') continue;
      if (!readlinkSync(`/proc/${pid}/cwd`).endsWith(`/${folder}`)) continue;
      process.kill(Number(pid), 'SIGKILL');
      found = true;
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

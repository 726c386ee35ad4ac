// An upload that is paused, cut by a reload and chosen again arrives whole, from where it was.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { arrived, choose, openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { expectWhole, film } from './films.ts';
import { type Server, startServer } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let clips: Clips;
let home = '';

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  clips = openClips();
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-resume-'));
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  clips?.clear();
  rmSync(home, { recursive: true, force: true });
});

test('pause, resume, reload, and the same file chosen again', async () => {
  const path = await film(clips, home, 'long film.mp4', 4 << 20);
  const page = await browser.page();
  const sent: (number | 'new')[] = [];
  let looks = 0;
  page.on('request', (request) => {
    if (request.url().includes('/v1/uploads/')) looks += 1;
    if (!request.url().includes('/files/')) return;
    if (request.method() === 'PATCH') sent.push(Number(request.headers()['upload-offset']));
    if (request.method() === 'POST') sent.push('new');
  });
  await page.goto(server.url);
  await says(page, 'Choose files');
  const slow = { download: -1, upload: 700_000, latency: 5 };
  await page.emulateNetworkConditions(slow);
  await choose(page, path);
  const shown = () =>
    page.evaluate(() =>
      Number(/(\d+) %/.exec(document.querySelector('ul li .digits')?.textContent ?? '')?.[1] ?? 0),
    );
  const share = () =>
    page.evaluate(() =>
      Number(document.querySelector('[role="progressbar"]')?.getAttribute('aria-valuenow') ?? 0),
    );
  await until('a fifth is sent', async () => Math.max(await share(), await shown()) >= 20, 30_000, share);
  await press(page, 'Pause long film.mp4');
  await says(page, 'is safe');
  const before = sent.length;
  await press(page, 'Resume long film.mp4');
  await until('it goes on', async () => sent.length > before);
  expect(sent.filter((one) => one === 'new').length).toBe(1);
  expect(sent.at(-1), 'goes on at its offset').toBeGreaterThan(0);
  await until('a third is sent', async () => Math.max(await share(), await shown()) >= 35, 30_000, share);

  page.on('dialog', (dialog) => void dialog.accept());
  await page.reload();
  await says(page, '1 upload paused.');
  expect(await unreachable(page)).toEqual([]);
  await page.emulateNetworkConditions(null);
  const reloaded = sent.length;
  await choose(page, path);
  const id = await arrived(page, 'long film.mp4');
  expect(looks, 'it asks once how far the upload is').toBe(1);
  expect(sent.slice(reloaded)).not.toContain('new');
  expect(sent.at(-1), 'goes on after the reload').toBeGreaterThan(sent[1] as number);

  await expectWhole(server, id, path);
  expect(browser.faults).toEqual([]);
});

// An upload that is paused, cut by a reload and chosen again arrives whole, from where it was.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { arrived, choose, drop, openBrowser, press, says, unreachable, type Window } from './browser.ts';
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

test('a dropped file is found again by itself after a reload', async () => {
  const path = await film(clips, home, 'dropped film.mp4', 4 << 20);
  const page = await browser.page();
  const sent: (number | 'new')[] = [];
  page.on('request', (request) => {
    if (!request.url().includes('/files/')) return;
    if (request.method() === 'PATCH') sent.push(Number(request.headers()['upload-offset']));
    if (request.method() === 'POST') sent.push('new');
  });
  page.on('dialog', (dialog) => void dialog.accept());
  await page.goto(server.url);
  await says(page, 'Choose files');
  await page.emulateNetworkConditions({ download: -1, upload: 700_000, latency: 5 });
  await drop(page, path);
  await until('some of it is sent', () =>
    page.evaluate(
      () => Number(document.querySelector('[role="progressbar"]')?.getAttribute('aria-valuenow') ?? 0) >= 20,
    ),
  );
  await press(page, 'Pause dropped film.mp4');
  await says(page, 'is safe');

  // A browser without a window cannot be asked for its permission; while any page holds the file, it stays given.
  const holder = await browser.page();
  await holder.goto(server.url);
  expect(await keptFiles(holder)).toBe(1);
  await page.bringToFront();
  await page.reload();
  await says(page, '1 upload paused.');
  await says(page, 'Go on');
  expect(await unreachable(page)).toEqual([]);
  await page.emulateNetworkConditions(null);
  const reloaded = sent.length;
  await press(page, 'Go on');
  const id = await arrived(page, 'dropped film.mp4');
  expect(sent.slice(reloaded)).not.toContain('new');
  expect(sent[reloaded], 'goes on at its offset').toBeGreaterThan(0);
  await expectWhole(server, id, path);
  await page.reload();
  await says(page, 'Recent videos');
  expect(await keptFiles(page), 'nothing is kept of what is over').toBe(0);
  expect(browser.faults).toEqual([]);
  await Promise.all([page.close(), holder.close()]);
});

test('a file chosen in the dialogue of the browser is found again, too', async () => {
  const page = await browser.page();
  page.on('dialog', (dialog) => void dialog.accept());
  const slow = { download: -1, upload: 80_000, latency: 5 };
  // The dialogue itself cannot be used here; what it gives is the same kind of handle as one of the page's own store.
  await page.evaluateOnNewDocument(() => {
    const showOpenFilePicker = async () => {
      const own = await navigator.storage.getDirectory();
      const handle = await own.getFileHandle('picked.mp4', { create: true });
      if ((await handle.getFile()).size === 0) {
        const sample = await fetch('/sample/sample.mp4');
        await sample.body?.pipeTo(await handle.createWritable());
      }
      return [handle];
    };
    Object.assign(globalThis, { showOpenFilePicker });
  });
  await page.goto(server.url);
  await says(page, 'Choose files');
  await page.emulateNetworkConditions(slow);
  await press(page, 'Choose files');
  await until('some of it is sent', () =>
    page.evaluate(
      () => Number(document.querySelector('[role="progressbar"]')?.getAttribute('aria-valuenow') ?? 0) >= 20,
    ),
  );
  await press(page, 'Pause picked.mp4');
  await says(page, 'is safe');
  await page.reload();
  await page.emulateNetworkConditions(null);
  await press(page, 'Go on');
  await arrived(page, 'picked.mp4');
  const uploads = await fetch(`${server.url}/v1/uploads`);
  const { items } = (await uploads.json()) as { items: { title: string }[] };
  expect(items.filter(({ title }) => title === 'picked')).toHaveLength(1);
  expect(browser.faults).toEqual([]);
  await page.close();
});

/** How many files this browser could find again; the page holds them from now on. */
const keptFiles = (page: Page) =>
  page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        const opening = indexedDB.open('matinee', 1);
        opening.onsuccess = () => {
          const asking = opening.result.transaction('files').objectStore('files').getAll();
          asking.onsuccess = () => {
            Object.assign(globalThis, { held: asking.result });
            resolve(asking.result.length);
          };
        };
      }),
  );

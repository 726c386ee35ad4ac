// Uploads through what lies between a browser and a server: each succeeds, and the page says what is in the way.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { arrived, choose, openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { expectWhole, film } from './films.ts';
import { type Hop, openHop } from './proxy.ts';
import { type Server, startServer } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let clips: Clips;
let proxy: Hop;
let page: Page;
let home = '';

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  clips = openClips();
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-narrow-'));
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  clips?.clear();
  rmSync(home, { recursive: true, force: true });
});
beforeEach(async () => {
  // A new proxy is a new origin: nothing that was learned before counts.
  proxy = await openHop(server.url);
  page = await browser.page();
  page.on('dialog', (dialog) => void dialog.accept());
});
afterEach(async () => {
  await page.close();
  proxy.close();
  expect(browser.faults.splice(0)).toEqual([]);
});

const pieces = () => proxy.seen.filter(({ method }) => method === 'PATCH');
const creations = () => proxy.seen.filter(({ method, path }) => method === 'POST' && path === '/files/');
/** How many rows say so. */
const waiting = (words: string) =>
  page.evaluate(
    (wanted) =>
      [...document.querySelectorAll('li[data-upload]')].filter((row) => row.textContent?.includes(wanted))
        .length,
    words,
  );
/** How much of an upload the server itself says it has. */
async function offsetAt(path: string): Promise<number> {
  const answer = await fetch(server.url + path, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
  return Number(answer.headers.get('Upload-Offset'));
}
async function begin(path: string): Promise<void> {
  await page.goto(proxy.url);
  await says(page, 'Choose files');
  await choose(page, path);
}

test('a proxy that takes 1 MB is found, named, and remembered for the next file', async () => {
  const path = await film(clips, home, 'one megabyte.mp4', 6_000_000);
  proxy.manners = { limit_bytes: 1 << 20 };
  await page.goto(proxy.url);
  await says(page, 'Choose files');
  // The sentence shall stand long enough to be read by the test.
  await page.emulateNetworkConditions({ download: -1, upload: 3_000_000, latency: 5 });
  await choose(page, path);
  await says(
    page,
    'Something between you and the server (a proxy) refuses requests over 1 MB; sending smaller',
  );
  expect(await unreachable(page)).toEqual([]);
  await page.emulateNetworkConditions(null);
  await expectWhole(server, await arrived(page, 'one megabyte.mp4'), path);
  expect(creations()).toHaveLength(1);
  const refused = pieces().filter(({ status }) => status === 413).length;
  expect(refused).toBeGreaterThan(0);

  const other = await film(clips, home, 'the next one.mp4', 3_000_000);
  await choose(page, other);
  await expectWhole(server, await arrived(page, 'the next one.mp4'), other);
  expect(pieces().filter(({ status }) => status === 413)).toHaveLength(refused);
});

test('a proxy that buffers and cuts loses at most the pieces it held, and is named', async () => {
  const path = await film(clips, home, 'buffered.mp4', 20_000_000);
  proxy.manners = { buffers: true, cut_after_bytes: 9_000_000, cuts: 100 };
  await begin(path);
  await says(page, 'holds back and cuts requests', 60_000);
  await expectWhole(server, await arrived(page, 'buffered.mp4'), path);
  expect(creations()).toHaveLength(1);
});

test('a server that is away for a while, behind a proxy that says 502, loses nothing', async () => {
  const path = await film(clips, home, 'away.mp4', 4_000_000);
  await page.goto(proxy.url);
  await says(page, 'Choose files');
  proxy.manners = { hold_after_bytes: 1_000_000 };
  await choose(page, path);
  await until('a piece is on its way', async () => pieces().length > 0);
  proxy.manners = { away: 502 };
  proxy.drop();
  await says(page, 'A proxy answers, but not the server. Waiting, nothing lost');
  await until('it asked in vain', async () =>
    proxy.seen.some(({ method, status }) => method === 'HEAD' && status === 502),
  );
  proxy.manners = {};
  await expectWhole(server, await arrived(page, 'away.mp4'), path);
  expect(creations(), 'it never begins anew').toHaveLength(1);
});

test('a connection that is cut in the middle goes on where the server is', async () => {
  const path = await film(clips, home, 'cut.mp4', 6_000_000);
  await page.goto(proxy.url);
  await says(page, 'Choose files');
  proxy.manners = { hold_after_bytes: 2_000_000 };
  await choose(page, path);
  const sent = await until('a piece is on its way', async () => pieces()[0]);
  // Cut before the server has written anything down, it would rightly begin at 0 again.
  const safe = await until('the server has written something down', () => offsetAt(sent.path));
  proxy.manners = {};
  proxy.drop();
  await expectWhole(server, await arrived(page, 'cut.mp4'), path);
  expect(creations()).toHaveLength(1);
  // Chromium itself sends a request once more when a kept connection breaks, so an offset may be seen twice.
  const offsets = [...new Set(pieces().map(({ offset }) => offset ?? 0))];
  expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
  expect(offsets[1], 'it goes on there or further').toBeGreaterThanOrEqual(safe);
});

test('offline it waits, online it goes on by itself, and all can be paused together', async () => {
  const paths = await Promise.all(
    ['first.mp4', 'second.mp4'].map((name) => film(clips, home, name, 3_000_000)),
  );
  await page.goto(proxy.url);
  await says(page, 'Choose files');
  proxy.manners = { hold_after_bytes: 1_000_000 };
  await choose(page, ...paths);
  await until('both are sent', async () => pieces().length >= 2);
  await page.setOfflineMode(true);
  // That mode does not touch what is under way, nor what Chromium itself sends once more when a kept connection breaks.
  await until('both wait for the network', async () => {
    proxy.drop();
    return (await waiting('Offline. Waiting for network, nothing lost')) === 2;
  });
  const before = pieces().length;
  await page.setOfflineMode(false);
  await until('both go on', async () => pieces().length >= before + 2);
  await press(page, 'Pause all');
  await says(page, 'Resume all');
  proxy.manners = {};
  // The focus is still on the button that changed its word.
  await page.focus('[aria-label="Actions for all uploads"] button');
  await page.keyboard.press('Enter');
  await says(page, 'Pause all');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Pause all');
  for (const path of paths) {
    const name = path.endsWith('first.mp4') ? 'first.mp4' : 'second.mp4';
    await expectWhole(server, await arrived(page, name), path);
  }
  expect(creations()).toHaveLength(2);
});

test('the same file in two tabs is sent once, and both say that it arrived', async () => {
  const path = await film(clips, home, 'twice.mp4', 3_000_000);
  await page.goto(proxy.url);
  await says(page, 'Choose files');
  proxy.manners = { hold_after_bytes: 1_000_000 };
  await choose(page, path);
  await until('a piece is on its way', async () => pieces().length > 0);
  const other = await browser.page();
  other.on('dialog', (dialog) => void dialog.accept());
  await other.goto(proxy.url);
  await says(other, 'Choose files');
  await choose(other, path);
  await says(other, 'Another tab is sending this file');
  expect(await unreachable(other)).toEqual([]);
  await page.bringToFront();
  proxy.manners = {};
  proxy.drop();
  const id = await arrived(page, 'twice.mp4');
  await other.bringToFront();
  expect(await arrived(other, 'twice.mp4')).toBe(id);
  await expectWhole(server, id, path);
  expect(creations()).toHaveLength(1);
  await other.close();
});

test('cancelling says first what is lost, and then the server has nothing of it', async () => {
  const path = await film(clips, home, 'unwanted.mp4', 3_000_000);
  await page.goto(proxy.url);
  await says(page, 'Choose files');
  proxy.manners = { hold_after_bytes: 1_000_000 };
  await choose(page, path);
  await until('a piece is on its way', async () => pieces().length > 0);
  await says(page, 'Copy link');
  await until('something has left', () =>
    page.evaluate(
      () => Number(document.querySelector('li[data-upload] [role="progressbar"]')?.ariaValueNow) > 0,
    ),
  );
  await press(page, 'Cancel unwanted.mp4');
  await says(page, '% that were sent?');
  expect(await page.evaluate(() => document.activeElement?.textContent), 'the focus is on the way back').toBe(
    'Keep',
  );
  await page.keyboard.press('Escape');
  expect(await page.evaluate(() => document.activeElement?.ariaLabel)).toBe('Cancel unwanted.mp4');
  await press(page, 'Cancel unwanted.mp4');
  await press(page, 'Delete upload');
  const file = await until('the server was told', async () =>
    proxy.seen.find(({ method, status }) => method === 'DELETE' && status === 204),
  );
  expect(
    (await fetch(server.url + file.path, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } })).status,
  ).toBe(404);
  expect(await page.evaluate(() => document.querySelector('li[data-upload]'))).toBeNull();
});

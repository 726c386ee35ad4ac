// The page of deletions: a file that cannot be deleted says why, is tried again by a button, and is proven gone.
import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { ready, type Server, startServer, upload } from './server.ts';
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

test('what cannot be deleted yet is shown with its reason, and goes when it can', async () => {
  const video = await upload(server, await clips.path('silent.mp4'));
  await ready(server, video);
  const kept = (await (await fetch(`${server.url}/v1/videos/${video}/objects`)).json()) as {
    items: { id: string; kind: string; state: string }[];
  };
  const source =
    kept.items.find((object) => object.kind === 'source' && object.state === 'present')?.id ?? '';
  expect(source).toBeTruthy();
  // A folder in its place cannot be removed as a file.
  const path = join(server.data, 'objects', source.slice(-2), source);
  rmSync(path);
  mkdirSync(path);

  await page.goto(server.claim);
  await says(page, 'You are signed in.');
  await page.setViewport({ width: 360, height: 780 });
  await page.goto(`${server.url}/v/${video}`);
  await page.evaluate((id) => fetch(`/v1/videos/${id}`, { method: 'DELETE' }).then(() => undefined), video);
  await page.click('header summary');
  await press(page, 'Deletions');
  await says(page, 'Not gone yet');
  await says(page, 'delete has failed', 60_000);
  await says(page, 'the original file in local');
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    expect(await unreachable(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
    const shot = process.env.SHOTS;
    if (shot) await page.screenshot({ path: join(shot, `deletions-360-${scheme}.png`), fullPage: true });
  }
  rmdirSync(path);
  await press(page, 'Try all again now');
  await says(page, 'Nothing waits to be deleted', 60_000);
  await until('the original is proven gone', () =>
    page.evaluate(() => /Proven gone[\s\S]*the original file/.test(document.body.textContent ?? '')),
  );
  await page.setViewport({ width: 1280, height: 900 });
  const shot = process.env.SHOTS;
  if (shot) await page.screenshot({ path: join(shot, 'deletions-1280.png'), fullPage: true });
});

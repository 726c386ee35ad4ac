// Pipelines as an administrator writes them, and a video that is made again while it plays on.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ElementHandle } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { ready, type Server, startServer, upload } from './server.ts';

let server: Server;
let browser: Window;
let clips: Clips;
let folder = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'matinee-e2e-pipelines-'));
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  clips = openClips();
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  clips?.clear();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

test('a pipeline is written, tried, and made use of, on a phone, too', async () => {
  const id = await upload(server, await clips.path('moov-last.mp4'));
  await ready(server, id);
  const page = await browser.page();
  await page.goto(server.claim);
  await says(page, 'You are signed in.');
  await page.setViewport({ width: 360, height: 780 });
  await page.goto(`${server.url}/pipelines`);
  await says(page, 'built in');
  await press(page, 'New pipeline');
  await page.type('input[pattern]', 'cinema');
  await press(page, 'Show the plan');
  await says(page, 'of one core');
  expect(await unreachable(page)).toEqual([]);
  const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
  expect(await wide()).toBe(360);
  const asIs = () =>
    page.evaluate(() => {
      const labels = [...document.querySelectorAll('label')];
      labels.find((label) => label.textContent?.includes('Leave as it is'))?.click();
    });
  await asIs();
  await press(page, 'Show the plan');
  await says(page, 'It stays as it is: browsers can play it');
  await asIs();
  const mark = join(folder, 'mark.png');
  execFileSync('ffmpeg', [
    '-v',
    'error',
    '-y',
    '-f',
    'lavfi',
    '-i',
    'color=red:size=64x32',
    '-frames:v',
    '1',
    mark,
  ]);
  await page.evaluate(() => {
    const labels = [...document.querySelectorAll('label')];
    labels.find((label) => label.textContent?.includes('Watermark'))?.click();
  });
  const picture = await page.waitForSelector('input[type=file]');
  await (picture as ElementHandle<HTMLInputElement>).uploadFile(mark);
  await page.waitForSelector('img[alt="The watermark"]');
  await press(page, 'Add a call');
  await page.keyboard.type('index');
  await page.type('input[type=url]', 'https://hook.invalid/');
  await press(page, 'Add a call');
  await press(page, 'Remove call 2');
  expect(await unreachable(page)).toEqual([]);
  expect(await wide()).toBe(360);
  const shot = process.env.SHOTS;
  if (shot) await page.screenshot({ path: join(shot, 'pipelines-360.png'), fullPage: true });
  await press(page, 'Save');
  await says(page, 'Version 1 of cinema is what counts now.');
  await press(page, 'Save as the next version');
  await says(page, 'Nothing changed, so there is no new version.');

  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
  await page.goto(`${server.url}/v/${id}`);
  await press(page, 'Encode again');
  await says(page, 'Made by the pipeline default');
  await page.waitForSelector('option[value="cinema"]');
  await page.select('[role=tabpanel] select', 'cinema');
  await press(page, 'What would that be?');
  await says(page, 'of one core');
  expect(await unreachable(page)).toEqual([]);
  expect(await wide()).toBe(360);
  await page.evaluate(() => {
    const buttons = document.querySelectorAll<HTMLElement>('[role=tabpanel] button.btn-primary');
    buttons[0]?.click();
  });
  await says(page, 'Made by the pipeline cinema, version 1', 90_000);
  await page.close();
});

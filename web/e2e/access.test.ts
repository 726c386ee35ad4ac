// The server's first administrator, strangers after that, and browsers without JavaScript.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { playable, type Server, startServer, videoOf } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let clips: Clips;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  clips = openClips();
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  clips?.clear();
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

test('the form works without JavaScript', async () => {
  const page = await browser.page();
  await page.setJavaScriptEnabled(false);
  await page.goto(server.url);
  const input = await page.waitForSelector('#plain-file');
  await (input as import('puppeteer-core').ElementHandle<HTMLInputElement>).uploadFile(
    await clips.path('moov-last.mp4'),
  );
  const [answer] = await Promise.all([page.waitForNavigation(), page.click('form button')]);
  expect(answer?.status()).toBe(200);
  const id = /\/v\/(vid_\w+)$/.exec(page.url())?.[1] ?? '';
  expect(await playable(server, id)).toBeTruthy();
  expect((await videoOf(server, id))?.title).toBe('moov-last');
  await page.close();
});

test('the printed link makes the administrator, and strangers must sign in from then on', async () => {
  const page = await browser.page();
  await page.goto(`${server.url}/claim#mat_wrong`);
  await says(page, 'This link did not work');
  expect(await unreachable(page)).toEqual([]);
  await page.goto('about:blank');
  await page.goto(server.claim);
  await says(page, 'You are signed in.');
  await says(page, 'as the administrator of this server');
  expect(await page.evaluate(() => location.hash)).toBe('');
  expect(await unreachable(page)).toEqual([]);
  await press(page, 'To my videos');
  await says(page, 'Drop a video here.');

  const context = await browser.browser.createBrowserContext();
  const stranger = await browser.page(context);
  await stranger.goto(server.url);
  await says(stranger, 'This server has an administrator.');
  expect(await unreachable(stranger)).toEqual([]);
  expect((await fetch(`${server.url}/v1/videos`)).status).toBe(401);

  // The link was good for one browser.
  await stranger.goto('about:blank');
  await stranger.goto(server.claim);
  await says(stranger, 'This link did not work');
  await context.close();
  await until('the administrator still sees the video', () =>
    page.evaluate(() => document.querySelector('a[href^="/v/"]') !== null),
  );
});

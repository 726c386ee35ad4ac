// Many tabs at once, and pages that were left: a browser has six connections to a server, and none may be kept in vain.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { arrived, choose, openBrowser, says, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { type Server, startServer, upload } from './server.ts';

/** More than the connections of a browser to one server. */
const MANY = 8;

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

test('with many tabs open the newest can upload, and the oldest shows it when it is looked at', async () => {
  const tabs = [];
  for (let at = 0; at < MANY; at += 1) {
    const tab = await browser.page();
    tabs.push(tab);
    await tab.goto(server.url);
    await says(tab, 'Recent videos');
    await says(tab, 'Nothing here yet');
  }
  const [first] = tabs;
  const last = tabs.at(-1);
  if (!first || !last) throw new Error('there are tabs');
  await choose(last, await clips.path('silent.mp4'));
  await arrived(last, 'silent.mp4');
  await first.bringToFront();
  await says(first, 'silent');
  for (const tab of tabs) await tab.close();
});

test('pages that were left keep no connection, and one that is returned to hears again', async () => {
  const id = await upload(server, await clips.path('portrait.mp4'));
  const page = await browser.page();
  for (let at = 0; at < MANY; at += 1) {
    await page.goto(`${server.url}/v/${id}?t=${at}`);
    await says(page, 'Copy link to this page');
  }
  await page.goto(server.url);
  await choose(page, await clips.path('silent.mp4'));
  await arrived(page, 'silent.mp4');
  await page.goto(`${server.url}/v/${id}`);
  await says(page, 'Copy link to this page');
  await page.goBack();
  await says(page, 'Recent videos');
  // Taken out of the browser's cache of pages and not loaded once more: only such a page has to begin again by itself.
  const [entry] = await page.evaluate(() =>
    performance.getEntriesByType('navigation').map((one) => (one as PerformanceNavigationTiming).type),
  );
  expect(entry).toBe('navigate');
  await upload(server, await clips.path('vp8.webm'));
  await says(page, 'vp8');
  await page.close();
});

test('a video that is deleted elsewhere says so where it is open', async () => {
  const id = await upload(server, await clips.path('portrait.mp4'));
  const page = await browser.page();
  await page.goto(`${server.url}/v/${id}`);
  await says(page, 'Copy link to this page');
  const deleted = await fetch(`${server.url}/v1/videos/${id}`, { method: 'DELETE' });
  expect(deleted.ok).toBe(true);
  await says(page, 'There is no such video.');
  await page.close();
});

// Without a mouse: every page is walked by the Tab key, and what opens is closed by Escape.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, shots, show, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { type Walk, walk } from './keyboard.ts';
import { pretend, type StandIn } from './pretend.ts';
import { ready, type Server, startServer, upload } from './server.ts';

let server: Server;
let browser: Window;
let clips: Clips;
let host: StandIn;
let page: Page;
let home = '';
let video = '';
let job = '';

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-keyboard-'));
  host = await pretend('bunny', home);
  const store = `[[store]]\nname = "cellar"\nkind = "disk"\npath = "${home}"\n`;
  const config = `[ingest]\nallow_hosts = ["127.0.0.1:9"]\n${host.config}${store}`;
  [server, browser] = await Promise.all([startServer([], config), openBrowser()]);
  clips = openClips();
  video = await upload(server, await clips.path('silent.mp4'));
  await ready(server, video);
  page = await browser.page();
  await page.goto(server.claim);
  await says(page, 'You are signed in.');
  job = await page.evaluate(async () => {
    const headers = { 'Content-Type': 'application/json' };
    const make = async (path: string, body: object) => {
      const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(await answer.text());
    };
    await make('/v1/runners', { name: 'attic' });
    await make('/v1/webhooks', { url: 'http://127.0.0.1:9/', topics: ['upload.failed'] });
    const answer = await fetch('/v1/jobs?group=over');
    return ((await answer.json()) as { items: { id: string }[] }).items[0]?.id ?? '';
  });
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  host?.kill();
  clips?.clear();
  rmSync(home, { recursive: true, force: true });
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

/** The pages, a text that says that one is there, and about how many stops it has at least. */
const pages = (): [string, string, number][] => [
  ['/', 'silent', 15],
  [`/v/${video}`, 'Copy link to this page', 25],
  ['/jobs?group=over', 'Pause all work', 15],
  [`/jobs/${job}`, 'Attempts', 12],
  ['/pipelines', 'built in', 12],
  ['/runners', 'attic', 13],
  ['/storage', 'cellar', 12],
  ['/hosts', 'Bunny Stream', 11],
  ['/costs', 'Price cards', 11],
  ['/deletions', 'Compare now', 11],
  ['/notifications', 'Who is told', 18],
];

/** What is wrong with a walk through a page. */
function faultsOf({ stops, ended }: Walk, least: number): string[] {
  const faults = [];
  if (!ended) faults.push(`the way back begins at stop ${stops.length}, in the middle`);
  if (stops.length < least) faults.push(`there are ${stops.length} stops, less than ${least}`);
  for (const { what, role, name, ringed, seen } of stops) {
    const stop = `${role} "${name}" (${what})`;
    if (!name || role === 'generic') faults.push(`${stop} has no name`);
    if (!ringed) faults.push(`${stop} does not show that it has the focus`);
    if (!seen) faults.push(`${stop} is not seen`);
  }
  return faults;
}

test('every page can be walked by the Tab key: each stop has a name and is seen, and the walk ends', async () => {
  const faults: string[] = [];
  for (const [number, [path, text, least]] of pages().entries()) {
    await show(page, 'desk');
    await page.goto(server.url + path);
    await says(page, text);
    faults.push(...faultsOf(await walk(page), least).map((fault) => `${path}: ${fault}`));
    await shots(page, `page-${number}`);
  }
  expect(faults).toEqual([]);
});

/** The name of what has the focus. */
const focused = () =>
  page.evaluate(() =>
    (document.activeElement?.ariaLabel ?? document.activeElement?.textContent ?? '').trim(),
  );

test('on a phone the menu opens by Enter, leads on by Tab, and closes by Escape', async () => {
  await show(page, 'phone');
  await page.goto(`${server.url}/jobs`);
  await says(page, 'Pause all work');
  await page.focus('header summary');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  expect(await focused()).toBe('Pipelines');
  await page.keyboard.press('Escape');
  expect(await focused()).toBe('Menu');
  expect(await page.evaluate(() => document.querySelector<HTMLDetailsElement>('header details')?.open)).toBe(
    false,
  );
});

test('tabs are changed by arrows, and a question is left by Escape with the focus where it was', async () => {
  await show(page, 'desk');
  await page.goto(`${server.url}/v/${video}`);
  await says(page, 'Copy link to this page');
  await page.focus('[role=tab][aria-selected=true]');
  await page.keyboard.press('End');
  expect(await focused()).toBe('Danger zone');
  await press(page, 'Delete …');
  await says(page, 'Keep it');
  await page.keyboard.press('Escape');
  expect(await page.evaluate(() => document.querySelector('dialog[open]'))).toBeNull();
  await page.focus('[role=tab][aria-selected=true]');
  await page.keyboard.press('Home');
  for (let at = 0; at < 6; at += 1) await page.keyboard.press('ArrowRight');
  expect(await focused()).toBe('Hosts');
  await says(page, 'Not published there');
  await press(page, 'Publish to bunny');
  await says(page, 'Take back from bunny');
  await page.focus('[role=tabpanel] button.btn-outline');
  await page.keyboard.press('Enter');
  expect(await focused()).toBe('Keep it there');
  await page.keyboard.press('Escape');
  expect(await focused()).toBe('Take back from bunny …');
});

// Pages of another site upload here: by our web component under a strict policy, and by Uppy as its recipe says.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ElementHandle, Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, unreachable, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { expectWhole, film } from './films.ts';
import { openHop } from './proxy.ts';
import { type Server, startServer } from './server.ts';
import { type Other, openOther } from './site.ts';
import { uppyScript } from './uppy.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let clips: Clips;
let other: Other;
let home = '';

beforeAll(async () => {
  other = await openOther();
  [server, browser] = await Promise.all([startServer([other.url]), openBrowser()]);
  clips = openClips();
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-embed-'));
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  other?.close();
  clips?.clear();
  rmSync(home, { recursive: true, force: true });
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

/** A page with the component, under a policy that allows nothing but what the manual names. */
function embedding(attributes: string, at = server.url): void {
  other.files['/watch.js'] = {
    kind: 'text/javascript',
    body: `globalThis.told = [];
      for (const what of ['progress', 'success', 'error'])
        addEventListener('matinee-upload-' + what, ({ detail }) => told.push({ what, ...detail }));`,
  };
  other.files['/'] = {
    kind: 'text/html',
    policy: `default-src 'none'; script-src 'self' ${server.url}; connect-src ${at}`,
    body: `<!doctype html><html lang="en"><title>Elsewhere</title><script src="/watch.js"></script>
      <script src="${server.url}/embed/uploader.js" async></script>
      <main><h1>Elsewhere</h1><matinee-uploader ${attributes}></matinee-uploader></main>`,
  };
}

interface Told {
  what: string;
  name: string;
  video_id: string | null;
  share: number;
  code?: string;
}
const told = (page: Page) => page.evaluate(() => (globalThis as unknown as { told: Told[] }).told);
const waitFor = (page: Page, what: string) =>
  until(
    `the page is told of ${what}`,
    async () => (await told(page)).find((one) => one.what === what),
    60_000,
    () => told(page),
  );
async function chooseIn(page: Page, ...paths: string[]): Promise<void> {
  const input = await until('the component is there', async () => {
    const handle = await page.evaluateHandle(
      () => document.querySelector('matinee-uploader')?.shadowRoot?.querySelector('input') ?? null,
    );
    return handle.asElement() as ElementHandle<HTMLInputElement> | null;
  });
  await input.uploadFile(...paths);
}

test('the web component sends a film from another site, and says how it goes', async () => {
  const page = await browser.page();
  embedding('multiple');
  await page.goto(other.url);
  const path = await film(clips, home, 'from elsewhere.mp4', 1_000_000);
  await chooseIn(page, path);
  const done = await waitFor(page, 'success');
  const progress = (await told(page)).filter(({ what }) => what === 'progress');
  expect(progress.length).toBeGreaterThan(0);
  expect(
    progress.find(({ video_id }) => video_id),
    'the link is known before the end',
  ).toBeTruthy();
  expect(await unreachable(page)).toEqual([]);
  await expectWhole(server, done.video_id ?? '', path);
  await page.close();
});

test('the web component fills an upload that was made for it, through a proxy that hides its reasons', async () => {
  const page = await browser.page();
  const hop = await openHop(server.url);
  hop.manners = { limit_bytes: 20_000_000 };
  const path = await film(clips, home, 'made for it.mp4', 33_000_000);
  const announced = await fetch(`${hop.url}/v1/uploads`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ title: 'Made for it', size_bytes: readFileSync(path).length }),
  });
  const upload = (await announced.json()) as { upload_url: string; video_id: string };
  expect(upload.upload_url.startsWith(hop.url)).toBe(true);
  embedding(`upload-url="${upload.upload_url}"`, hop.url);
  await page.goto(other.url);
  await chooseIn(page, path);
  // The 413 has no CORS headers, so the page sees cut connections only.
  browser.faults.splice(0);
  expect((await waitFor(page, 'success')).video_id).toBe(upload.video_id);
  expect(hop.seen.some(({ status }) => status === 413)).toBe(true);
  browser.faults.splice(
    0,
    browser.faults.length,
    ...browser.faults.filter((fault) => !fault.includes('CORS')),
  );
  await expectWhole(server, upload.video_id, path);
  await page.close();
  hop.close();
});

test('a wrong token is an error that the page is told of', async () => {
  const page = await browser.page();
  embedding('token="mat_wrong"');
  await page.goto(other.url);
  await chooseIn(page, await clips.path('silent.mp4'));
  const error = await waitFor(page, 'error');
  expect(error.code).toBe('unauthorized');
  await page.close();
});

test('the script may be kept and used by every site', async () => {
  const { headers } = await fetch(`${server.url}/embed/uploader.js`);
  expect(headers.get('Access-Control-Allow-Origin')).toBe('*');
  expect(headers.get('Cross-Origin-Resource-Policy')).toBe('cross-origin');
  expect(headers.get('Cache-Control')).toContain('max-age=86400');
});

test('Uppy with its dashboard uploads as the recipe says', async () => {
  const page = await browser.page();
  const { script, style } = await uppyScript();
  other.files['/uppy.js'] = { kind: 'text/javascript', body: script };
  other.files['/uppy.css'] = { kind: 'text/css', body: style };
  other.files['/page.js'] = {
    kind: 'text/javascript',
    body: `globalThis.done = upload(${JSON.stringify(`${server.url}/files/`)}, document.querySelector('#uppy'));`,
  };
  other.files['/uppy'] = {
    kind: 'text/html',
    body: `<!doctype html><html lang="en"><title>Uppy</title><link rel="stylesheet" href="/uppy.css">
      <main><h1>Uppy</h1><div id="uppy"></div></main><script src="/uppy.js"></script><script src="/page.js"></script>`,
  };
  await page.goto(`${other.url}/uppy`);
  const path = await film(clips, home, 'by uppy.mp4', 1_000_000);
  const input = await page.waitForSelector('input.uppy-Dashboard-input');
  await (input as ElementHandle<HTMLInputElement>).uploadFile(path);
  await (await page.waitForSelector('button.uppy-StatusBar-actionBtn--upload'))?.click();
  const id = await page.evaluate(() => (globalThis as unknown as { done: Promise<string> }).done);
  await expectWhole(server, id, path);
  await page.close();
});

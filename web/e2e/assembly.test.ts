// A page that was written for Transloadit: Uppy's own plugin in a real browser, over the stream of events and without it.
import { createHmac } from 'node:crypto';
import type { ElementHandle } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { type Server, startServer } from './server.ts';
import { type Other, openOther } from './site.ts';
import { bundled } from './uppy.ts';

let server: Server;
let browser: Window;
let clips: Clips;
let other: Other;
let key: { id: string; secret: string };

beforeAll(async () => {
  other = await openOther();
  // The site is not among the origins: what it asks with is a signature.
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  clips = openClips();
  const json = { 'Content-Type': 'application/json' };
  const token = server.claim.split('#')[1] ?? '';
  const signed = await fetch(`${server.url}/v1/session`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ token }),
  });
  const cookie = signed.headers.get('Set-Cookie')?.split(';')[0] ?? '';
  const made = await fetch(`${server.url}/v1/assembly-keys`, {
    method: 'POST',
    headers: { ...json, Cookie: cookie },
    body: JSON.stringify({ name: 'a page' }),
  });
  key = await made.json();
  other.files['/uppy.js'] = { kind: 'text/javascript', body: (await bundled('uppy/assembly.ts')).script };
  other.files['/'] = {
    kind: 'text/html',
    body: '<!doctype html><html lang="en"><title>Page</title><main><h1>Page</h1><input type="file" multiple></main><script src="/uppy.js"></script>',
  };
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  other?.close();
  clips?.clear();
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

/** What the page's own server gives it: params for an hour, and their signature. */
function options(): { params: string; signature: string } {
  const expires = new Date(Date.now() + 3_600_000)
    .toISOString()
    .replaceAll('-', '/')
    .replace('T', ' ')
    .replace(/\..*/, '+00:00');
  const steps = {
    ':original': { robot: '/upload/handle' },
    small: { use: ':original', robot: '/video/encode', width: 320, height: 180 },
    still: { use: 'small', robot: '/video/thumbs', count: 1, offsets: ['10%'], width: 160, height: 160 },
  };
  const params = JSON.stringify({ auth: { key: key.id, expires }, steps });
  return { params, signature: `sha384:${createHmac('sha384', key.secret).update(params).digest('hex')}` };
}

interface Told {
  uploads: string[];
  results: string[];
  status: { ok: string; results: Record<string, { id: string; ssl_url: string }[]> };
}

for (const stream of [true, false]) {
  test(`Uppy's plugin sends two files and is told each result once, ${stream ? 'by' : 'without'} the stream`, async () => {
    const page = await browser.page();
    if (!stream) {
      await page.setRequestInterception(true);
      page.on('request', (request) =>
        request.url().includes('/assemblies/events') ? request.abort() : request.continue(),
      );
    }
    await page.goto(other.url);
    const input = (await page.waitForSelector('input')) as ElementHandle<HTMLInputElement>;
    await input.uploadFile(await clips.path('silent.mp4'), await clips.path('moov-last.mp4'));
    const told = await page.evaluate(
      async (service, given) => {
        const { assemble } = globalThis as unknown as {
          assemble: (service: string, options: unknown, input: unknown) => Promise<unknown>;
        };
        return (await assemble(service, given, document.querySelector('input'))) as Told;
      },
      server.url,
      options(),
    );
    expect(told.status.ok).toBe('ASSEMBLY_COMPLETED');
    expect(told.uploads.sort()).toEqual(['moov-last.mp4', 'silent.mp4']);
    const made = Object.entries(told.status.results).flatMap(([step, files]) =>
      files.map(({ id }) => `${step} ${id}`),
    );
    expect(made).toHaveLength(6);
    expect(told.results.sort()).toEqual(made.sort());
    for (const { ssl_url } of Object.values(told.status.results).flat())
      expect((await fetch(ssl_url)).status).toBe(200);
    await page.close();
  });
}

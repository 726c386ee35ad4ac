// Folders that are dropped or chosen, and files that are pasted.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ElementHandle } from 'puppeteer-core';
import { afterAll, beforeAll, test } from 'vitest';
import { drop, openBrowser, says, type Window } from './browser.ts';
import { type Server, startServer } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
});

test('of a folder the films are taken, whether it is dropped or chosen, and a file can be pasted', async () => {
  // Pages of its own, closed and not left: one that still sends asks whether it may be left.
  let own = await browser.page();
  const home = mkdtempSync(join(tmpdir(), 'matinee-e2e-folder-'));
  const inner = join(home, 'holiday', 'day 2');
  mkdirSync(inner, { recursive: true });
  writeFileSync(join(home, 'holiday', 'first day.mp4'), 'no film');
  writeFileSync(join(inner, 'second day.mkv'), 'no film either');
  writeFileSync(join(inner, 'notes.txt'), 'words');
  const rows = () =>
    own.evaluate(() =>
      [...document.querySelectorAll('li[data-upload] .font-semibold')].map((one) => one.textContent),
    );
  const taken = () =>
    until(
      'both films are taken',
      async () => (await rows()).filter((name) => /day\./.test(name ?? '')).length === 2,
      20_000,
      rows,
    );

  await own.goto(server.url);
  await says(own, 'Choose a folder');
  await drop(own, join(home, 'holiday'));
  await taken();
  await says(own, '2 uploads added; 1 other file left out');
  // All bytes have arrived when their videos could be refused; else the next page would offer to go on.
  await until('both have arrived', async () => {
    const failed = await fetch(`${server.url}/v1/uploads?state=failed`);
    const { items } = (await failed.json()) as { items: { title: string }[] };
    return items.filter(({ title }) => / day$/.test(title)).length === 2;
  });
  await own.close();
  own = await browser.page();
  await own.goto(server.url);
  const folder = (await own.waitForSelector('#folder')) as ElementHandle<HTMLInputElement>;
  await folder.uploadFile(join(home, 'holiday'));
  await taken();

  await own.evaluate(() => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File(['not a film'], 'pasted.mp4', { type: 'video/mp4' }));
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }));
  });
  await says(own, 'pasted.mp4');
  await own.close();
  rmSync(home, { recursive: true, force: true });
});

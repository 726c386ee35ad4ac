// Walks through the pages as a person would, against the mock: each step that fails is said and counted.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';

const BASE = process.env.BASE ?? 'http://127.0.0.1:8080';
const home = mkdtempSync(join(tmpdir(), 'matinee-walk-'));
const big = join(home, 'walk.mp4');
writeFileSync(big, Buffer.alloc(40e6, 7));
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  userDataDir: join(home, 'profile'),
  protocolTimeout: 30_000,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
    '--mute-audio',
  ],
});
const page = await browser.newPage();
await page.setViewport({ width: 1280, height: 900 });
let faults = 0;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const says = (text) =>
  page.waitForFunction((wanted) => document.body.textContent.includes(wanted), { timeout: 12_000 }, text);
const press = async (name) => {
  const find = (wanted) =>
    [...document.querySelectorAll('button')].find((button) =>
      (button.ariaLabel ?? button.textContent).trim().startsWith(wanted),
    );
  await page.waitForFunction(find, { timeout: 8000 }, name);
  await (await page.evaluateHandle(find, name)).click();
};
async function stepOf(name, run) {
  try {
    await run();
    console.log(`ok    ${name}`);
  } catch (failed) {
    faults += 1;
    console.log(`FAIL  ${name}: ${failed.message}`);
  }
}
function expect(condition, text) {
  if (!condition) throw new Error(text);
}
const choose = async () => (await page.waitForSelector('#files')).uploadFile(big);
const offsets = [];
page.on('request', (request) => {
  if (request.method() === 'PATCH' && request.url().includes('/files/'))
    offsets.push(Number(request.headers()['upload-offset']));
  if (request.method() === 'POST' && request.url().includes('/files/')) offsets.push('new');
});
page.on('console', (message) => {
  if (/Content.Security.Policy|Refused to/.test(message.text())) {
    faults += 1;
    console.log(`FAIL  policy: ${message.text()}`);
  }
});
page.on('dialog', (dialog) => dialog.accept());

await page.goto(BASE, { waitUntil: 'domcontentloaded' });
await stepOf('the sample plays', async () => {
  await page.waitForFunction(() => document.querySelector('video[src^="/sample"]')?.currentTime > 0.3, {
    timeout: 12_000,
  });
});
await stepOf('an upload shows its pace', async () => {
  await choose();
  await says('MB/s');
  await says('Copy link');
});
await stepOf('pause and resume go on at the offset', async () => {
  await press('Pause walk.mp4');
  await says('is safe');
  await pause(300);
  await press('Resume walk.mp4');
  await says('MB/s');
  expect(offsets.at(-1) > 0, `offsets ${offsets}`);
});
await stepOf('a lost network is amber and comes back', async () => {
  // Going offline does not end a request that is under way, so this one is started while offline.
  await press('Pause walk.mp4');
  await says('is safe');
  await page.setOfflineMode(true);
  await press('Resume walk.mp4');
  await says('Waiting for network, nothing lost');
  await page.setOfflineMode(false);
  await says('MB/s');
});
await stepOf('after a reload the same file goes on', async () => {
  await page.reload({ waitUntil: 'domcontentloaded' });
  await says('1 upload paused.');
  const before = offsets.length;
  await choose();
  await says('MB/s');
  expect(!offsets.slice(before).includes('new'), 'it began anew');
  expect(offsets.at(-1) > 0, `offsets ${offsets}`);
});
await stepOf('the upload ends and the ribbon moves by the stream', async () => {
  await page.waitForFunction(() => document.querySelector('[aria-label="Received: done"]'), {
    timeout: 15_000,
  });
  await page.waitForFunction(() => document.querySelector('[aria-label="Playable: done"]'), {
    timeout: 15_000,
  });
  const kept = await page.evaluate(() => localStorage.getItem('matinee.uploads'));
  expect(kept === '[]', `remembered: ${kept}`);
});
await stepOf('the video page plays a growing video from its start, in its whole length', async () => {
  await page.goto(`${BASE}/v/vid_0mock0002`, { waitUntil: 'domcontentloaded' });
  await page.waitForSelector('media-controller video');
  await page.evaluate(() => {
    const video = document.querySelector('media-controller video');
    video.muted = true;
    video.play().catch(() => undefined);
  });
  await page.waitForFunction(() => document.querySelector('media-controller video').currentTime > 0.5, {
    timeout: 12_000,
  });
  const at = await page.evaluate(() => document.querySelector('media-controller video').currentTime);
  expect(at < 4, `started at ${at}`);
  await says('0:32 of 1:00');
});
await stepOf('keys steer', async () => {
  const state = () =>
    page.evaluate(() =>
      (({ currentTime, paused, playbackRate, muted }) => ({ currentTime, paused, playbackRate, muted }))(
        document.querySelector('media-controller video'),
      ),
    );
  await page.keyboard.press('k');
  expect((await state()).paused, 'k did not pause');
  await page.keyboard.press('>');
  expect((await state()).playbackRate === 1.25, '> did not speed up');
  await page.keyboard.press('m');
  expect(!(await state()).muted, 'm did not unmute');
  await page.keyboard.press('3');
  expect(Math.abs((await state()).currentTime - 18) < 0.5, `3 went to ${(await state()).currentTime}`);
  await page.keyboard.press('9');
  expect((await state()).currentTime <= 33, '9 went beyond what is there');
  await page.keyboard.press('2');
  await page.keyboard.press('l');
  expect(Math.abs((await state()).currentTime - 22) < 0.5, `l went to ${(await state()).currentTime}`);
});
await stepOf('the position is remembered, and ?t= wins', async () => {
  await pause(600);
  await page.reload({ waitUntil: 'domcontentloaded' });
  const at = (wanted) =>
    page
      .waitForFunction(
        (t) => Math.abs((document.querySelector('media-controller video')?.currentTime ?? -9) - t) < 1.5,
        { timeout: 12_000 },
        wanted,
      )
      .catch(async () => {
        throw new Error(
          `${wanted}: ${await page.evaluate(() => `${document.querySelector('media-controller video')?.currentTime} ${JSON.stringify(localStorage)}`)}`,
        );
      });
  await at(22);
  await page.goto(`${BASE}/v/vid_0mock0002?t=0m9s`, { waitUntil: 'domcontentloaded' });
  await at(9);
});
await stepOf('a quality can be chosen by the menu', async () => {
  await page.waitForSelector('#quality-button');
  await page.evaluate(() => document.querySelector('#quality-button').click());
  await pause(500);
  await page.evaluate(() => document.querySelector('#quality media-chrome-menu-item:last-child').click());
  await page.waitForFunction(() => document.querySelector('.quality').textContent === '480p', {
    timeout: 5000,
  });
});
await stepOf('the title can be changed', async () => {
  await press('Change the title');
  await page.keyboard.type('A new title');
  await page.keyboard.press('Enter');
  await says('A new title');
});
await stepOf('deleting asks first', async () => {
  await page.goto(`${BASE}/v/vid_0mock0003`, { waitUntil: 'domcontentloaded' });
  await page.locator('#tab-danger').click();
  await press('Delete …');
  await press('Delete for good');
  await says('The video has been deleted.');
});
await browser.close();
console.log(`${faults} faults`);
process.exit(faults > 0 ? 1 : 0);

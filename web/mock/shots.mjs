// Screenshots of every page at three widths and in the dark, with the accessibility check and policy violations.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';

const BASE = process.env.BASE ?? 'http://127.0.0.1:8080';
const OUT = process.env.OUT ?? join(tmpdir(), 'matinee-shots');
const [only, views] = process.argv.slice(2);
mkdirSync(OUT, { recursive: true });
const axe = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const made = (name, size_bytes) => {
  const path = join(OUT, name);
  writeFileSync(path, Buffer.alloc(size_bytes, 1));
  return path;
};
const big = made('lecture-08.mp4', 60e6);

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  userDataDir: mkdtempSync(join(tmpdir(), 'matinee-chromium-')),
  protocolTimeout: 20_000,
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
let faults = 0;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const tab = (name) => async (page) => {
  await page.waitForSelector(`#tab-${name}`);
  await page.click(`#tab-${name}`);
};
const play = async (page) => {
  await page.waitForSelector('media-controller video');
  await page.evaluate(() => {
    const video = document.querySelector('media-controller video');
    video.muted = true;
    video.play().catch(() => undefined);
  });
  await pause(2500);
  // The pointer over the picture keeps the controls in sight.
  const box = await (await page.$('media-controller')).boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 3);
  await page.mouse.move(box.x + box.width / 2 + 5, box.y + box.height / 3);
};
const SHOTS = {
  home: { path: '/' },
  uploads: {
    path: '/',
    act: async (page) => {
      const input = await page.waitForSelector('#files');
      await input.uploadFile(big, new URL('../public/sample/sample.mp4', import.meta.url).pathname);
      await pause(2500);
    },
  },
  // Two under way, one through a narrow proxy, one whose server is away, one paused, one refused, one that waits.
  queue: {
    path: '/',
    act: async (page) => {
      const input = await page.waitForSelector('#files');
      const paused = made('IMG_2044 with a rather long name from a telephone.mov', 50e6);
      await input.uploadFile(paused);
      await page.waitForSelector('[aria-label^="Copy"], .btn');
      await pause(1500);
      await page.click('[aria-label^="Pause IMG"]');
      await input.uploadFile(
        made('refused.mp4', 5e6),
        made('away from home.mp4', 40e6),
        made('narrow street.mp4', 60e6),
      );
      await pause(2000);
      await input.uploadFile(big, made('harbour.mp4', 90e6), made('ribbons.mp4', 30e6));
      await pause(3500);
    },
  },
  embed: {
    path: '/embedding',
    act: async (page) => {
      const input = await page.evaluateHandle(() =>
        document.querySelector('matinee-uploader').shadowRoot.querySelector('input'),
      );
      await input.uploadFile(
        big,
        made('narrow street.mp4', 60e6),
        made('away.mp4', 40e6),
        made('refused.mp4', 5e6),
      );
      await pause(3500);
    },
  },
  ask: {
    path: '/',
    act: async (page) => {
      const input = await page.waitForSelector('#files');
      await input.uploadFile(big, made('harbour.mp4', 90e6));
      await pause(2500);
      await page.click('[aria-label^="Cancel lecture"]');
    },
  },
  paused: {
    path: '/',
    before: (page) =>
      page.evaluateOnNewDocument(() =>
        localStorage.setItem(
          'matinee.uploads',
          JSON.stringify([
            {
              fingerprint: 'x',
              name: 'lecture-09.mp4',
              size_bytes: 1.3e9,
              sent_bytes: 4e8,
              url: '/files/x',
              upload_id: 'upl_x',
              video_id: null,
            },
          ]),
        ),
      ),
  },
  video: { path: '/v/vid_0mock0001', act: play },
  growing: { path: '/v/vid_0mock0002', act: play },
  soon: { path: '/v/vid_0mock0003' },
  failed: { path: '/v/vid_0mock0004' },
  damaged: { path: '/v/vid_0mock0006', act: tab('renditions') },
  receiving: { path: '/v/vid_0mock0007' },
  downloads: { path: '/v/vid_0mock0001', act: tab('downloads') },
  timeline: { path: '/v/vid_0mock0002', act: tab('timeline') },
  danger: {
    path: '/v/vid_0mock0001',
    act: async (page) => {
      await tab('danger')(page);
      await page.click('.btn-error');
    },
  },
  help: {
    path: '/v/vid_0mock0001',
    act: async (page) => {
      await play(page);
      await page.keyboard.press('?');
    },
  },
  claimed: { path: '/claim#good' },
  refused: { path: '/claim#bad' },
  nothing: { path: '/nothing/here' },
  plain: { path: '/', script: false },
};
const VIEWS = {
  wide: [1280, 860, 'light'],
  phone: [360, 740, 'light'],
  dark: [1280, 860, 'dark'],
  narrow: [320, 640, 'dark'],
};

for (const [name, shot] of Object.entries(SHOTS)) {
  if (only && !only.split(',').includes(name)) continue;
  for (const [view, [width, height, scheme]] of Object.entries(VIEWS)) {
    if (views && !views.split(',').includes(view)) continue;
    const page = await browser.newPage();
    const touch = width < 600;
    await page.setViewport({ width, height, deviceScaleFactor: 1, hasTouch: touch, isMobile: touch });
    // What an earlier picture left in this browser is not part of this one.
    await page.evaluateOnNewDocument(() => localStorage.clear());
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    if (shot.script === false) await page.setJavaScriptEnabled(false);
    page.on('console', (message) => {
      if (!['error', 'warn'].includes(message.type())) return;
      // Refusals are part of what is shown.
      if (message.text().startsWith('Failed to load resource')) return;
      faults += 1;
      console.log(`${name}/${view}: ${message.text()} ${message.location()?.url ?? ''}`);
    });
    page.on('pageerror', (error) => {
      faults += 1;
      console.log(`${name}/${view}: ${error.message}`);
    });
    await shot.before?.(page);
    await page.goto(BASE + shot.path, { waitUntil: 'domcontentloaded' });
    await pause(1200);
    await shot.act?.(page);
    await pause(400);
    await page.screenshot({ path: join(OUT, `${name}-${view}.png`), fullPage: true });
    if (shot.script !== false) {
      // The library comes in by the debugger, so the page's own policy stays as strict as it is.
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() =>
        globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }),
      );
      for (const { id, help, nodes } of violations) {
        faults += 1;
        console.log(
          `${name}/${view}: axe ${id}: ${help}: ${nodes
            .slice(0, 3)
            .map((node) => node.target.join(' '))
            .join(' | ')}`,
        );
      }
      const over = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      if (over > 0) {
        faults += 1;
        console.log(`${name}/${view}: ${over} px too wide`);
      }
    }
    await page.close();
  }
}
await browser.close();
console.log(`${faults} faults; pictures in ${OUT}`);
process.exit(faults > 0 ? 1 : 0);

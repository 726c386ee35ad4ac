// Captions of one's own: added by the form, read in the player, replaced and deleted; by keyboard, narrow and in the dark.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ElementHandle, Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, press, says, unreachable, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { ready, type Server, startServer, upload, videoOf } from './server.ts';
import { until } from './wait.ts';

const SRT = `1
00:00:00,200 --> 00:00:02,800
Snön <i>faller</i> & ligger

2
00:00:03,000 --> 00:00:05,000
Andra raden
`;

let server: Server;
let browser: Window;
let clips: Clips;
let page: Page;
let home = '';
let id = '';

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  clips = openClips();
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-captions-'));
  writeFileSync(join(home, 'ord.srt'), SRT);
  writeFileSync(join(home, 'empty.srt'), 'no captions at all');
  writeFileSync(join(home, 'notes.txt'), 'no captions either');
  page = await browser.page();
  id = await upload(server, await clips.path('languages.mkv'));
  await ready(server, id);
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  clips?.clear();
  rmSync(home, { recursive: true, force: true });
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

async function opened(): Promise<void> {
  await page.goto(`${server.url}/v/${id}`);
  await page.waitForSelector('media-controller video');
  await press(page, 'Captions');
  await says(page, 'Add captions');
}

/** Chooses a file in the form. */
async function take(name: string): Promise<void> {
  const input = (await page.waitForSelector(
    'input[type=file][accept*=".srt"]',
  )) as ElementHandle<HTMLInputElement>;
  await input.uploadFile(join(home, name));
}

/** Fills a field by its name, as a person at a keyboard does. */
async function write(name: string, text: string): Promise<void> {
  const field = await page.evaluateHandle(
    (wanted) =>
      [...document.querySelectorAll('label')]
        .find((one) => one.textContent?.trim().startsWith(wanted))
        ?.querySelector('input'),
    name,
  );
  const input = field.asElement() as ElementHandle<HTMLInputElement>;
  await input.focus();
  await input.evaluate((element) => element.select());
  await page.keyboard.press('Backspace');
  await page.keyboard.type(text);
}

/** The words that the player has in a language. */
const words = (language: string) =>
  page.evaluate((wanted) => {
    const video = document.querySelector<HTMLVideoElement>('media-controller video');
    const track = [...(video?.textTracks ?? [])].find(
      (one) => one.language === wanted && one.kind !== 'chapters',
    );
    if (!track) return null;
    if (track.mode === 'disabled') track.mode = 'hidden';
    const cues = [...(track.cues ?? [])] as VTTCue[];
    return {
      label: track.label,
      cues: cues.map(({ text, startTime, endTime }) => ({ text, from_s: startTime, to_s: endTime })),
    };
  }, language);

test('a file of words is added by keyboard, and the player shows its words', async () => {
  await opened();
  await write('Language', 'sv');
  await says(page, 'This is Svenska.');
  await write('Name', 'Svenska för alla');
  await take('ord.srt');
  // From the name on to the button: the file, the mark, the button.
  for (let n = 0; n < 3; n += 1) await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent?.trim())).toBe('Add captions');
  await page.keyboard.press('Enter');
  await says(page, 'The captions in Svenska för alla are there.');
  const seen = await until('the player has them', async () => {
    const track = await words('sv');
    return track && track.cues.length > 0 && track;
  });
  expect(seen).toEqual({
    label: 'Svenska för alla',
    cues: [
      { text: 'Snön <i>faller</i> & ligger', from_s: 0.2, to_s: 2.8 },
      { text: 'Andra raden', from_s: 3, to_s: 5 },
    ],
  });
  expect(await unreachable(page)).toEqual([]);
});

test('what cannot be taken is told, and nothing of it is kept', async () => {
  await opened();
  const before = (await videoOf(server, id))?.captions;
  await press(page, 'Add captions');
  await says(page, 'Write the language as a tag');
  await write('Language', 'de');
  await take('notes.txt');
  await press(page, 'Add captions');
  await says(page, 'neither a .srt nor a .vtt file');
  await take('empty.srt');
  await press(page, 'Add captions');
  await says(page, 'The file holds no captions');
  expect((await videoOf(server, id))?.captions).toEqual(before);
});

test('they are replaced under their language, and deleted after a question', async () => {
  await opened();
  await write('Language', 'SV');
  await take('ord.srt');
  await press(page, 'Replace captions');
  await says(page, 'The captions in Svenska are there.');
  const added = async () => (await videoOf(server, id))?.captions.filter((one) => one.added) ?? [];
  expect((await added()).map(({ id, label }) => [id, label])).toEqual([['sv', 'Svenska']]);
  await press(page, 'Delete Svenska');
  await says(page, 'Delete them?');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Keep');
  await page.keyboard.press('Escape');
  expect(await page.evaluate(() => document.activeElement?.ariaLabel)).toBe('Delete Svenska');
  await page.keyboard.press('Enter');
  await says(page, 'Delete them?');
  await press(page, 'Delete captions');
  await says(page, 'The captions Svenska are gone.');
  expect(await added()).toEqual([]);
  await until('the player has them no more', async () => (await words('sv')) === null);
});

test('the form fits a narrow dark screen, and everybody can reach it', async () => {
  await page.setViewport({ width: 360, height: 740 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
  await opened();
  await press(page, 'Add captions');
  await says(page, 'Write the language as a tag');
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  expect(await unreachable(page)).toEqual([]);
});

// A film in two languages with subtitles and chapters, on our page: chosen, heard, read, and remembered.
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, unreachable, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { openSite, type Part, playAll, type Site } from './players.ts';
import { playbackOf, ready, type Server, startServer, upload } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let clips: Clips;
let page: Page;
let site: Site;
let id = '';

beforeAll(async () => {
  [server, browser, site] = await Promise.all([startServer(), openBrowser(), openSite()]);
  clips = openClips();
  page = await browser.page();
  id = await upload(server, await clips.path('languages.mkv'));
  await ready(server, id);
});
afterAll(async () => {
  site?.close();
  await Promise.all([server?.stop(), browser?.close()]);
  clips?.clear();
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

/** Plays the video in a loop, and listens to it: the loudest tone in hertz. */
async function listen(): Promise<void> {
  await page.waitForSelector('media-controller video');
  await page.evaluate(() => {
    const video = document.querySelector<HTMLVideoElement>('media-controller video');
    if (!video) throw new Error('there is no player');
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 8192 });
    context.createMediaElementSource(video).connect(analyser).connect(context.destination);
    video.loop = true;
    video.play().catch(() => undefined);
    const bins = new Float32Array(analyser.frequencyBinCount);
    const hertz = () => {
      analyser.getFloatFrequencyData(bins);
      const loudest = bins.indexOf(Math.max(...bins));
      return (loudest * context.sampleRate) / analyser.fftSize;
    };
    Object.assign(globalThis, { hertz });
  });
}

const tone = () =>
  page.evaluate(() => (globalThis as unknown as { hertz: () => number }).hertz()).catch(() => 0);
const heard = (hertz: number) =>
  until(`a tone of ${hertz} Hz`, async () => Math.abs((await tone()) - hertz) < 12, 30_000, tone);
const button = () =>
  page.evaluate(() => document.querySelector('#sound-button')?.getAttribute('aria-label') ?? null);

/** Presses an entry of a menu, as a viewer does. */
async function choose(menu: string, entry: string): Promise<void> {
  const pressed = () =>
    page.evaluate(
      (where, wanted) => {
        const root = document.querySelector(where);
        const items = [
          ...(root?.querySelectorAll('*') ?? []),
          ...(root?.shadowRoot?.querySelectorAll('*') ?? []),
        ];
        const item = items.find(
          (one) => one.localName === 'media-chrome-menu-item' && one.textContent?.trim().startsWith(wanted),
        );
        (item as HTMLElement | undefined)?.click();
        return item !== undefined;
      },
      menu,
      entry,
    );
  await until(`${entry} can be chosen`, pressed);
}

test('the other language is chosen, heard and remembered; words and chapters are shown', async () => {
  await page.goto(`${server.url}/v/${id}`);
  await listen();
  await heard(440);
  expect(await button()).toBe('Sound: English');
  await choose('#sound', 'Svenska');
  await heard(1760);
  await until('the button names it', async () => (await button()) === 'Sound: Svenska');

  const shown = () =>
    page.evaluate(() => {
      const video = document.querySelector<HTMLVideoElement>('media-controller video');
      const [track] = [...(video?.textTracks ?? [])].filter(
        ({ kind, mode }) => kind !== 'chapters' && mode === 'showing',
      );
      const [cue] = [...(track?.activeCues ?? [])] as VTTCue[];
      return cue && { text: cue.text, from_s: cue.startTime, to_s: cue.endTime };
    });
  expect(await shown(), 'nobody is shown words without having asked for them').toBeUndefined();
  await choose('media-captions-menu', 'English');
  const cue = await until('words are shown', shown);
  expect(cue.text).toBe('Snow falls & stays');
  expect(Math.abs(cue.from_s - 0.2)).toBeLessThan(0.05);
  expect(Math.abs(cue.to_s - 5.8)).toBeLessThan(0.05);

  const chapters = () =>
    page.evaluate(() => {
      const video = document.querySelector<HTMLVideoElement>('media-controller video');
      const track = [...(video?.textTracks ?? [])].find(({ kind }) => kind === 'chapters');
      const bar = document.querySelector('media-time-range') as
        | (Element & { mediaChaptersCues?: unknown[] })
        | null;
      return {
        cues: ([...(track?.cues ?? [])] as VTTCue[]).map(({ text }) => text),
        marks: bar?.mediaChaptersCues?.length,
      };
    });
  const two = { cues: ['The beginning', 'The rest'], marks: 2 };
  await until('the bar has chapters', async () => (await chapters()).marks === 2, 10_000, chapters);
  expect(await chapters()).toEqual(two);
  expect(await unreachable(page)).toEqual([]);

  await page.reload();
  await listen();
  await heard(1760);
  expect(await button()).toBe('Sound: Svenska');
});

test('players of other sites list the languages and play on', async () => {
  const playback = await playbackOf(server, id);
  const { hls = '', dash } = playback ?? {};
  const part = (player: Part['player'], url: string): Part => ({ player, url, seek_s: 3 });
  const parts = [part('hls', hls), part('shaka', hls), part('shaka', dash ?? ''), part('dash', dash ?? '')];
  const reports = await playAll(page, site, parts);
  for (const [number, { failed, after }] of reports.entries()) {
    const name = `${parts[number]?.player} ${parts[number]?.url.split('/').at(-1)}`;
    expect(failed, name).toBeUndefined();
    expect(after.faults, name).toEqual([]);
    expect(after.listed, name).toEqual({ sounds: ['en', 'sv'], words: ['en'] });
  }
  const [cue] = reports[0]?.after.cues ?? [];
  expect(cue?.text, 'hls.js reads the words').toBe('Snow falls & stays');
  expect(Math.abs((cue?.from_s ?? 0) - 0.2)).toBeLessThan(0.05);
});

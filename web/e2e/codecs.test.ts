// VP9 and AV1 with Opus in real players: each alone, and beside H.264 in the manifests that everybody gets.
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Playback } from '../src/api/types.ts';
import { openBrowser, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { openSite, type Part, type Played, playAll, type Site } from './players.ts';
import { playable, ready, type Server, startServer, upload, videoOf } from './server.ts';
import { until } from './wait.ts';

const PIPELINE = '[[pipeline]]\nname = "default"\nsizes = [240, 144]\ncodecs = ["vp9", "av1"]\n';
const LENGTH_S = 10;

let server: Server;
let browser: Window;
let site: Site;
let clips: Clips;
let page: Page;
let id = '';
let playback: Playback;
let master = '';
let mpd = '';

beforeAll(async () => {
  [server, browser, site] = await Promise.all([startServer([], PIPELINE), openBrowser(), openSite()]);
  clips = openClips();
  page = await browser.page();
  id = await upload(server, await clips.path('ten-seconds.mp4'));
  await ready(server, id);
  await until(
    'all codecs are there',
    async () => {
      const video = await videoOf(server, id);
      return video?.playback?.webm && video.renditions.every(({ state }) => state === 'ready');
    },
    120_000,
  );
  playback = await playable(server, id);
  master = await (await fetch(playback.hls)).text();
  mpd = await (await fetch(playback.dash ?? '')).text();
});
afterAll(async () => {
  site?.close();
  await Promise.all([server?.stop(), browser?.close()]);
  clips?.clear();
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

/** The multivariant playlist with the renditions of one codec only. */
function onlyHls(codec: string): string {
  const base = playback.hls.replace(/m\.m3u8$/, '');
  const blocks = master.replaceAll('URI="', `URI="${base}`).split(/\n(?=#EXT-X-)/);
  const kept = blocks.filter(
    (block) => !block.startsWith('#EXT-X-STREAM-INF') || block.includes(`CODECS="${codec}`),
  );
  const text = kept.map((block) => block.replace(/\n(?=[a-z])/g, `\n${base}`)).join('\n');
  return site.serve(`${codec}.m3u8`, 'application/vnd.apple.mpegurl', text);
}

/** The DASH manifest with the pictures of one codec and the sounds of another. */
function onlyDash(codec: string, sound: string): string {
  const base = (playback.dash ?? '').replace(/manifest\.mpd$/, '');
  const [head = '', ...sets] = mpd.split(/(?= {2}<AdaptationSet )/);
  const kept = sets.filter((set) => set.includes(`codecs="${codec}`) || set.includes(`codecs="${sound}`));
  const end = ' </Period>\n</MPD>\n';
  const text =
    [head.replace(/(<MPD[^>]*>)/, `$1<BaseURL>${base}</BaseURL>`), ...kept].join('').replace(end, '') + end;
  return site.serve(`${codec}.mpd`, 'application/dash+xml', text);
}

function hold(part: Part, played: Played, codecs: readonly string[]): void {
  const what = `${part.player} ${part.url}`;
  expect(played.failed, what).toBeUndefined();
  const { began, after } = played;
  expect(after.faults, what).toEqual([]);
  expect(after.error, what).toBeNull();
  expect(began.first_s, what).toBeLessThanOrEqual(0.5);
  expect(Math.abs(after.duration_s - LENGTH_S), what).toBeLessThanOrEqual(0.064);
  expect(after.frames, what).toBeGreaterThan(0);
  expect(after.sound_bytes, what).toBeGreaterThan(0);
  if (part.player === 'video') return;
  expect(began.apart_s, `${what}: picture and sound begin`).toBeLessThanOrEqual(0.05);
  expect(after.apart_s, `${what}: picture and sound end`).toBeLessThanOrEqual(0.05);
  const kinds = after.buffered.map(({ kind }) => kind).join(' ');
  for (const codec of codecs) expect(kinds, what).toContain(codec);
}

test.each([
  ['vp09', 'opus'],
  ['av01', 'opus'],
  ['avc1', 'mp4a'],
])('%s with %s plays alone in every player', async (picture, sound) => {
  const [hls, dash] = [onlyHls(picture), onlyDash(picture, sound)];
  const parts: Part[] = [
    { player: 'hls', url: hls, seek_s: 7 },
    { player: 'shaka', url: hls, seek_s: 7 },
    { player: 'shaka', url: dash, seek_s: 7 },
    { player: 'dash', url: dash, seek_s: 7 },
  ];
  const reports = await playAll(page, site, parts);
  for (const [number, part] of parts.entries()) hold(part, reports[number] as Played, [picture, sound]);
});

test('every player plays the manifests with all codecs, H.264 first, and the files', async () => {
  const order = [...master.matchAll(/CODECS="(....)/g)].map(([, codec]) => codec);
  // The last one is sound alone, for lines that carry no picture.
  expect(order).toEqual(['avc1', 'avc1', 'vp09', 'vp09', 'av01', 'av01', 'mp4a']);
  const parts: Part[] = [
    { player: 'hls', url: playback.hls, seek_s: 7 },
    { player: 'shaka', url: playback.hls, seek_s: 7 },
    { player: 'shaka', url: playback.dash ?? '', seek_s: 7 },
    { player: 'dash', url: playback.dash ?? '', seek_s: 7 },
    { player: 'video', url: playback.mp4 ?? '', seek_s: 7 },
    { player: 'video', url: playback.webm ?? '', seek_s: 7 },
  ];
  const reports = await playAll(page, site, parts);
  for (const [number, part] of parts.entries()) {
    const played = reports[number] as Played;
    hold(part, played, []);
    expect(played.began.width, `${part.player} ${part.url} begins with a picture`).toBeGreaterThan(0);
  }
});

test('our page plays it, and its menu tells the codecs apart', async () => {
  await page.goto(`${server.url}/v/${id}`);
  const state = () =>
    page.evaluate(() => {
      const video = document.querySelector<HTMLVideoElement>('media-controller video');
      if (video?.paused && !video.ended) video.play().catch(() => undefined);
      return { at_s: video?.currentTime ?? 0, text: document.body.textContent ?? '' };
    });
  await until('our page plays it', async () => (await state()).at_s > 1.2, 25_000, state);
  const { text } = await state();
  for (const label of ['240p H.264', '240p VP9', '240p AV1']) expect(text).toContain(label);
});

// Real players from the manifests: hls.js, Shaka and dash.js of another site, and `<video src>`; delivery as a viewer has it.
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Playback } from '../src/api/types.ts';
import { openBrowser, type Window } from './browser.ts';
import { type Clips, openClips } from './clips.ts';
import { begin, now, openSite, type Part, type Played, playAll, report, type Site } from './players.ts';
import { playable, playbackOf, ready, type Server, startServer, upload, videoOf } from './server.ts';
import { until } from './wait.ts';

let server: Server;
let browser: Window;
let site: Site;
let clips: Clips;
let page: Page;

beforeAll(async () => {
  [server, browser, site] = await Promise.all([startServer(), openBrowser(), openSite()]);
  clips = openClips();
  page = await browser.page();
});
afterAll(async () => {
  site?.close();
  await Promise.all([server?.stop(), browser?.close()]);
  clips?.clear();
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

interface Facts {
  duration_s: number;
  /** One frame, in seconds. */
  frame_s: number;
  /** Null when there is no picture. */
  width: number | null;
  sound: boolean;
}

/** Holds a player's report against what the API says. */
function hold({ player }: Part, played: Played, facts: Facts): void {
  expect(played.failed, player).toBeUndefined();
  const { began, after } = played;
  expect(after.faults, player).toEqual([]);
  expect(after.error, player).toBeNull();
  // The event comes a little after the first picture; the buffer below is exact.
  expect(began.first_s, `${player} begins at the beginning`).toBeLessThanOrEqual(0.5);
  expect(began.all[0]?.[0], `${player}: first moment`).toBeLessThanOrEqual(0.1);
  const off_s = Math.abs(after.duration_s - facts.duration_s);
  // A frame of AAC at 44.1 kHz is 23 ms; sound may end that much after the picture.
  expect(off_s, `${player}: ${after.duration_s} is not ${facts.duration_s}`).toBeLessThanOrEqual(
    facts.frame_s + 0.024,
  );
  if (facts.sound) expect(after.sound_bytes, `${player}: sound`).toBeGreaterThan(0);
  if (facts.width === null) return;
  expect(after.frames, `${player}: pictures`).toBeGreaterThan(0);
  expect(after.width, `${player}: width`).toBeLessThanOrEqual(facts.width);
  if (player === 'video') expect(after.width, `${player}: width`).toBe(facts.width);
  if (player !== 'video' && facts.sound) {
    expect(after.buffered.length, `${player}: buffers`).toBe(2);
    expect(began.apart_s, `${player}: picture and sound begin`).toBeLessThanOrEqual(0.05);
    expect(after.apart_s, `${player}: picture and sound end`).toBeLessThanOrEqual(0.05);
  }
}

function parts(playback: Playback, players = ['hls', 'shaka', 'shaka-dash', 'dash', 'video']): Part[] {
  const seek_s = Math.max(2, (playback.duration ?? 0) * 0.7);
  const urls = {
    hls: ['hls', playback.hls],
    shaka: ['shaka', playback.hls],
    'shaka-dash': ['shaka', playback.dash],
    dash: ['dash', playback.dash],
    video: ['video', playback.mp4],
  } as Record<string, [Part['player'], string | null]>;
  return players.map((name) => {
    const [player, url] = urls[name] ?? [];
    if (!player || !url) throw new Error(`${name} has no address in ${JSON.stringify(playback)}`);
    return { player, url, seek_s };
  });
}

async function factsOf(id: string): Promise<Facts> {
  const video = await videoOf(server, id);
  const pictures = video?.renditions.filter(({ medium }) => medium === 'video') ?? [];
  const widest = Math.max(...pictures.map(({ width }) => width ?? 0));
  return {
    duration_s: video?.duration ?? 0,
    frame_s: 1 / (pictures[0]?.frame_rate || 20),
    width: pictures.length > 0 ? widest : null,
    sound: video?.source?.audio !== null,
  };
}

async function playedWell(playback: Playback, facts: Facts): Promise<Played[]> {
  const list = parts(playback);
  const reports = await playAll(page, site, list);
  for (const [number, part] of list.entries()) hold(part, reports[number] as Played, facts);
  return reports;
}

describe('a compatible source with 5.1 sound', () => {
  let id = '';
  let first: Playback;

  test('plays at once in every player, from its virtual layout', async () => {
    id = await upload(server, await clips.path('bbb-480p-30s.mp4'));
    // Before its last byte was looked at it is played from what has arrived, by HLS only.
    first = await until('it is published', async () => {
      const playback = await playable(server, id);
      return playback.dash !== null && playback;
    });
    expect(first.hls).toContain('/1/m.m3u8');
    await playedWell(first, await factsOf(id));
  });

  test('plays in every player when all sizes are made', async () => {
    const video = await ready(server, id);
    expect(video.renditions.filter(({ medium }) => medium === 'video').length).toBeGreaterThan(1);
    const playback = await playable(server, id);
    expect(playback.hls).toContain('/2/m.m3u8');
    await playedWell(playback, await factsOf(id));
  });

  test('keeps the addresses of the virtual layout alive for who watches already', async () => {
    for (const url of [first.hls, first.dash ?? '']) expect((await fetch(url)).status).toBe(200);
    const [part] = parts(first, ['hls']);
    const [played] = await playAll(page, site, [part as Part]);
    hold(part as Part, played as Played, await factsOf(id));
  });
});

test('a video that is still being made plays from its start, joined at once and joined late, and ends as a whole', async () => {
  const id = await upload(server, await clips.path('growing.avi'));
  const growing = await playable(server, id);
  expect(growing.growing).toBe(true);
  expect(growing.dash).toBeNull();
  const list = parts(growing, ['hls', 'shaka']).map((part) => ({ ...part, seek_s: 2 }));
  const segments = async () => {
    const master = await (await fetch(growing.hls)).text();
    const [track] = /^[^#].*v\.m3u8$/m.exec(master) ?? [];
    const text = await (await fetch(new URL(track ?? '', growing.hls))).text();
    return { count: text.split('#EXTINF').length - 1, ended: text.includes('#EXT-X-ENDLIST'), text };
  };
  const before = await segments();
  expect(before.ended).toBe(false);
  expect(before.text).toContain('#EXT-X-PLAYLIST-TYPE:EVENT');
  await page.goto(site.url);
  const frames = await begin(page, site, list);
  await until('a good part of it is there', async () => (await segments()).count >= 6, 60_000);
  const joined = await begin(page, site, list);
  expect((await segments()).ended, 'joined before its end').toBe(false);
  for (const played of await Promise.all([...frames, ...joined].map(report))) {
    expect(played.failed).toBeUndefined();
    expect(played.began.first_s, 'from the start, whenever it is joined').toBeLessThanOrEqual(0.5);
    expect(played.began.apart_s).toBeLessThanOrEqual(0.05);
    expect(played.after.faults).toEqual([]);
  }
  await ready(server, id);
  const facts = await factsOf(id);
  // hls.js learns the end from the same playlist; Shaka does not do so yet.
  for (const frame of [...frames, ...joined].filter((_, n) => list[n % list.length]?.player === 'hls')) {
    await until(
      'its end is known',
      async () => Math.abs((await now(frame)).duration_s - facts.duration_s) < 0.1,
      20_000,
      async () => [facts, await now(frame), frame.url()],
    );
    expect((await now(frame)).faults).toEqual([]);
  }
  const playback = await playable(server, id);
  expect(playback.hls.replace(/.*\/vid_/, '')).toBe(growing.hls.replace(/.*\/vid_/, ''));
  await playedWell(playback, facts);
});

describe('odd sources', () => {
  const ODD = {
    'portrait.mp4': 360,
    'rotated.mp4': 240,
    'cinema.mp4': 960,
    'odd.mkv': 320,
    'silent.mp4': 320,
    'sound.m4a': null,
    'varying.mp4': 320,
    'ten-bit.mp4': 320,
    'vp8.webm': 320,
    'moov-last.mp4': 320,
    'fragmented.mp4': 320,
  } as const;
  const ids = new Map<string, string>();

  beforeAll(async () => {
    for (const name of Object.keys(ODD)) ids.set(name, await upload(server, await clips.path(name)));
  });

  test.each(Object.entries(ODD))('%s plays in every player and on our page', async (name, width) => {
    const id = ids.get(name) ?? '';
    await ready(server, id);
    const facts = await factsOf(id);
    expect(facts.width).toBe(width);
    expect(Math.abs(facts.duration_s - 6)).toBeLessThan(0.1);
    const playback = await playbackOf(server, id);
    if (!playback) throw new Error('it is ready and cannot be played');
    await playedWell(playback, facts);
    await page.goto(`${server.url}/v/${id}`);
    const state = () =>
      page.evaluate(() => {
        const video = document.querySelector<HTMLVideoElement>('media-controller video');
        if (video?.paused && !video.ended) video.play().catch(() => undefined);
        return video && { at_s: video.currentTime, width: video.videoWidth, ready: video.readyState };
      });
    await until('our page plays it', async () => ((await state())?.at_s ?? 0) > 1.2, 25_000, state);
  });
});

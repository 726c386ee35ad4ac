// A video that is played from a host: the server chooses it, signs its addresses, and our page plays what the stand-in streams.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser, type Window } from './browser.ts';
import { pretend, type StandIn } from './pretend.ts';
import { playbackOf, ready, type Server, startServer, upload } from './server.ts';
import { until } from './wait.ts';

const HOSTS = ['bunny', 'cloudflare'] as const;
/** Our own line is the dearest of all places, so that viewers are sent elsewhere. */
const DEAR = `[[card]]
name = "own_server"
of = ["matinee"]
date = "2026-11"
delivery = [{ per_gb = 100.0 }]
`;

let server: Server;
let browser: Window;
let page: Page;
let home = '';
const pretending = new Map<string, StandIn>();

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'matinee-e2e-hosts-play-'));
  for (const kind of HOSTS) pretending.set(kind, await pretend(kind, home));
  const config = DEAR + [...pretending.values()].map((one) => one.config).join('');
  [server, browser] = await Promise.all([startServer([], config), openBrowser()]);
  page = await browser.page();
});
afterAll(async () => {
  await Promise.all([server?.stop(), browser?.close()]);
  for (const one of pretending.values()) one.kill();
  rmSync(home, { recursive: true, force: true });
});
afterEach(() => {
  expect(browser.faults.splice(0)).toEqual([]);
});

function film(name: string): string {
  const path = join(home, `${name}.mp4`);
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=9'];
  const sound = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000:duration=9'];
  const codecs = [
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-pix_fmt',
    'yuv420p',
    '-g',
    '50',
    '-c:a',
    'aac',
  ];
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...picture, ...sound, ...codecs, path]);
  return path;
}

/** Publishes a video, and waits until viewers are sent there. */
async function chosen(id: string, host: string) {
  const answer = await fetch(`${server.url}/v1/videos/${id}/publications`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ host }),
  });
  expect(answer.status).toBe(202);
  return until(
    `viewers are sent to ${host}`,
    async () => {
      const playback = await playbackOf(server, id);
      return playback?.places[0]?.place === host && playback;
    },
    60_000,
    () => playbackOf(server, id),
  );
}

/** The same address with another letter in the middle of what is signed. */
function forged(url: string): string {
  const at = Math.floor(url.length / 2);
  return `${url.slice(0, at)}${url[at] === 'A' ? 'B' : 'A'}${url.slice(at + 1)}`;
}

test.each(HOSTS)('our page plays a video from %s, by addresses that are signed', async (host) => {
  const url = pretending.get(host)?.url ?? '';
  const id = await upload(server, film(host));
  await ready(server, id);
  const playback = await chosen(id, host);
  expect(playback.hls.startsWith(`${url}/`)).toBe(true);
  expect(playback.hls.length, 'a token is in it').toBeGreaterThan(url.length + 120);
  expect((await fetch(playback.hls)).headers.get('Access-Control-Allow-Origin')).toBe('*');
  expect((await fetch(forged(playback.hls))).status).toBe(host === 'bunny' ? 403 : 401);

  const asked: string[] = [];
  const note = (request: { url(): string }) => asked.push(request.url());
  page.on('request', note);
  await page.goto(`${server.url}/v/${id}`);
  const state = () =>
    page.evaluate(() => {
      const video = document.querySelector<HTMLVideoElement>('media-controller video');
      if (video?.paused && !video.ended) video.play().catch(() => undefined);
      return (
        video && {
          at_s: video.currentTime,
          width: video.videoWidth,
          frames: video.getVideoPlaybackQuality().totalVideoFrames,
        }
      );
    });
  await until('its picture moves', async () => ((await state())?.at_s ?? 0) > 2.5, 30_000, state);
  page.off('request', note);
  const seen = await state();
  expect(seen?.width).toBe(320);
  expect(seen?.frames).toBeGreaterThan(30);
  const media = asked.filter((one) => /\.(m3u8|m4s|mp4)(\?|$)/.test(one));
  expect(media.filter((one) => one.endsWith('.m4s')).length).toBeGreaterThan(1);
  expect(
    media.filter((one) => !one.startsWith(`${url}/`)),
    'nothing of it came from us',
  ).toEqual([]);
  const folder = process.env.SHOTS;
  if (folder) await page.screenshot({ path: join(folder, `plays-from-${host}.png`) });
});

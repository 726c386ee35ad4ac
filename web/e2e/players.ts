// Pages of another site that play our manifests by other people's players, several at once, each in its frame.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Frame, Page } from 'puppeteer-core';
import { hlsOptions } from '../src/player/policy.ts';
import { until } from './wait.ts';

const here = (path: string) => new URL(path, import.meta.url);
const FILES: Readonly<Record<string, readonly [URL, string]>> = {
  '/one.html': [here('player/one.html'), 'text/html'],
  '/one.mjs': [here('player/one.mjs'), 'text/javascript'],
  '/hls.js': [here('../node_modules/hls.js/dist/hls.min.js'), 'text/javascript'],
  '/shaka.js': [here('../node_modules/shaka-player/dist/shaka-player.compiled.js'), 'text/javascript'],
  '/dash.js': [here('../node_modules/dashjs/dist/modern/umd/dash.all.min.js'), 'text/javascript'],
};

type Player = 'hls' | 'shaka' | 'dash' | 'video';

/** What one player has to play. */
export interface Part {
  player: Player;
  url: string;
  /** Where to jump to, in seconds. */
  seek_s: number;
}

export interface State {
  at_s: number;
  duration_s: number;
  width: number;
  height: number;
  sound_bytes: number;
  frames: number;
  all: [number, number][];
  buffered: { kind: string; spans: [number, number][] }[];
  /** The languages that the player offers. */
  listed: { sounds: string[]; words: string[] };
  cues: { from_s: number; to_s: number; text: string }[];
  faults: string[];
  error: string | null;
}

export interface Played {
  failed?: string;
  /** `apart_s`: between the first moments of picture and sound. */
  began: State & { first_s: number; apart_s: number };
  /** `apart_s`: between the last moments of picture and sound. */
  after: State & { apart_s: number };
}

export interface Site {
  url: string;
  /** Serves a text beside the frames; gives its address. */
  serve(name: string, kind: string, text: string): string;
  close(): void;
}

/** Serves the frames from an address that is not the server's. */
export async function openSite(): Promise<Site> {
  const texts = new Map<string, { kind: string; text: string }>();
  const server = createServer((request, response) => {
    const [file, kind] = FILES[request.url ?? ''] ?? [];
    const own = texts.get(request.url ?? '');
    if (own) response.setHeader('Content-Type', own.kind).end(own.text);
    else if (request.url === '/')
      response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>Players</title>');
    else if (file && kind) response.setHeader('Content-Type', kind).end(readFileSync(file));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const serve = (name: string, kind: string, text: string) => {
    texts.set(`/${name}`, { kind, text });
    return `${url}/${name}`;
  };
  return { url, serve, close: () => void server.close() };
}

/**
 * Adds a frame for each part to the page; they are given in the order of the parts. All that play at one time must be
 * on one page: Chromium lets hidden pages sleep.
 */
export async function begin(page: Page, site: Site, parts: readonly Part[]): Promise<Frame[]> {
  if (!page.url().startsWith(site.url)) await page.goto(`${site.url}/`);
  const before = (await page.$$('iframe')).length;
  const tasks = parts.map((part) => ({ ...part, hls_options: hlsOptions(0) }));
  await page.evaluate(
    (list, first) => {
      for (const [number, task] of list.entries()) {
        const frame = document.createElement('iframe');
        Object.assign(frame, {
          width: 320,
          height: 200,
          allow: 'autoplay',
          name: `player-${first + number}`,
        });
        frame.src = `/one.html#${encodeURIComponent(JSON.stringify(task))}`;
        document.body.append(frame);
      }
    },
    tasks,
    before,
  );
  return Promise.all(
    parts.map((_, number) =>
      until(`frame ${number} is there`, async () => {
        const elements = await page.$$(`iframe[name="player-${before + number}"]`);
        const frame = await elements[0]?.contentFrame();
        return frame && (await frame.evaluate(() => 'played' in globalThis).catch(() => false)) && frame;
      }),
    ),
  );
}

/** Waits for the report of a frame. */
export const report = (frame: Frame): Promise<Played> =>
  frame.evaluate(() => (globalThis as unknown as { played: Promise<Played> }).played);

/** What a frame's player shows at this moment. */
export const now = (frame: Frame): Promise<State> =>
  frame.evaluate(() => (globalThis as unknown as { now: () => State }).now());

/** Plays all parts side by side and waits for all reports. */
export async function playAll(page: Page, site: Site, parts: readonly Part[]): Promise<Played[]> {
  await page.goto(`${site.url}/`);
  const frames = await begin(page, site, parts);
  return Promise.all(frames.map(report));
}

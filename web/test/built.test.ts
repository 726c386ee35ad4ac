// What `npm run build` made: small enough, nothing inline, nothing from elsewhere.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';

const DIST = new URL('../dist/', import.meta.url).pathname;
const FIRST_MAX_BYTES = 150_000;
const EMBED_MAX_BYTES = 40_000;
const SAMPLE_MAX_BYTES = 900_000;

let html = '';
let scripts: string[] = [];

beforeAll(() => {
  if (!existsSync(DIST)) throw new Error('no web/dist: run `npm run build` first');
  html = readFileSync(join(DIST, 'index.html'), 'utf8');
  scripts = readdirSync(join(DIST, 'assets')).filter((name) => name.endsWith('.js'));
});

test('the first page loads at most 150 kB of JavaScript, and all but the player is that small on the wire', () => {
  const first = scripts.filter((name) => html.includes(name));
  // What other pages need, too, may be a file of its own; it is fetched beside the first one.
  expect(first.length).toBeLessThanOrEqual(2);
  const size = first.reduce((sum, name) => sum + statSync(join(DIST, 'assets', name)).size, 0);
  expect(size).toBeGreaterThan(10_000);
  expect(size).toBeLessThanOrEqual(FIRST_MAX_BYTES);
  const rest = scripts.filter((name) => !name.startsWith('Player'));
  const wire = rest.reduce((sum, name) => sum + gzipSync(readFileSync(join(DIST, 'assets', name))).length, 0);
  expect(wire).toBeLessThanOrEqual(FIRST_MAX_BYTES);
});
test('the player is a file of its own', () => {
  expect(scripts.filter((name) => name.startsWith('Player'))).toHaveLength(1);
  expect(html).not.toContain('Player');
});
test('no script or style is written into the page', () => {
  expect(html).not.toMatch(/<style|\sstyle=|\son\w+=/);
  for (const tag of html.match(/<script[^>]*>[^<]*/g) ?? []) expect(tag).toMatch(/src="\/assets\/[^"]+">$/);
});
test('media-chrome makes no style elements', () => {
  const player = scripts.find((name) => name.startsWith('Player')) ?? '';
  const text = readFileSync(join(DIST, 'assets', player), 'utf8');
  expect(text).toContain('adoptedStyleSheets');
  expect(text).not.toMatch(/shadowRoot\.innerHTML=this\.constructor\.getTemplateHTML/);
  expect(text).not.toMatch(/this\.shadowRoot\.setHTMLUnsafe/);
});
test('the script for other sites is one small file that a strict policy lets be', () => {
  expect(readdirSync(join(DIST, 'embed'))).toEqual(['uploader.js']);
  const text = readFileSync(join(DIST, 'embed/uploader.js'), 'utf8');
  expect(text.length).toBeLessThanOrEqual(EMBED_MAX_BYTES);
  expect(text).toContain('adoptedStyleSheets');
  expect(text).not.toMatch(/innerHTML|<style|eval\(|new Function|import\(|https?:\/\/(?!www\.w3\.org)/);
});
test('everything the page names is on this server', () => {
  for (const [, address] of html.matchAll(/(?:src|href|action)="([^"]+)"/g)) expect(address).toMatch(/^\//);
  expect(html).toContain('action="/upload" method="post" enctype="multipart/form-data"');
});
test('names of built files carry a hash, so they may be kept for ever', () => {
  for (const name of readdirSync(join(DIST, 'assets'))) expect(name).toMatch(/-[\w-]{8}\.\w+$/);
});
test('the sample is there and small', () => {
  const { size } = statSync(join(DIST, 'sample/sample.mp4'));
  expect(size).toBeGreaterThan(100_000);
  expect(size).toBeLessThanOrEqual(SAMPLE_MAX_BYTES);
});

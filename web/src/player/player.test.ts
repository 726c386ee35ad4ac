// Keys, positions, the part that is not there yet, faults and the loading policy.
import { expect, test } from 'vitest';
import { coverage } from './coverage.ts';
import { elementFault, faultOf } from './fault.ts';
import { actionOf, type Focus, HELP, nextRate } from './keys.ts';
import { hlsOptions, nextBringsIt, reloadAt, sameLayout } from './policy.ts';
import { startOf, worthKeeping } from './position.ts';
import { qualities } from './quality.ts';
import { wished, wishOf } from './sound.ts';

const press = (key: string, more = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, ...more });

test.each([
  [' ', { act: 'toggle' }],
  ['k', { act: 'toggle' }],
  ['K', { act: 'toggle' }],
  ['j', { act: 'skip', seconds: -10 }],
  ['l', { act: 'skip', seconds: 10 }],
  ['f', { act: 'fullscreen' }],
  ['m', { act: 'mute' }],
  ['c', { act: 'captions' }],
  ['<', { act: 'rate', steps: -1 }],
  ['>', { act: 'rate', steps: 1 }],
  ['0', { act: 'to', share: 0 }],
  ['9', { act: 'to', share: 0.9 }],
  ['?', { act: 'help' }],
  ['x', null],
  ['Tab', null],
])('the key %j does %j', (key, action) => expect(actionOf(press(key), 'page')).toEqual(action));
test.each<[string, Focus]>([
  ['k', 'text'],
  [' ', 'text'],
  [' ', 'control'],
  ['ArrowLeft', 'slider'],
  ['ArrowUp', 'menu'],
])('the key %j is left to a focused %s', (key, focus) => expect(actionOf(press(key), focus)).toBeNull());
test('keys of the browser stay with the browser', () => {
  for (const held of ['ctrlKey', 'metaKey', 'altKey'])
    expect(actionOf(press('f', { [held]: true }), 'page')).toBeNull();
});
test('the help names every letter that does something', () => {
  const shown = HELP.map(([keys]) => keys).join(' ');
  for (const key of 'kjlfmc<>?') expect(shown).toContain(key);
});
test('rates stop at both ends', () => {
  expect([nextRate(1, 1), nextRate(1, -1), nextRate(2, 1), nextRate(0.25, -1)]).toEqual([
    1.25, 0.75, 2, 0.25,
  ]);
});

test('neither the first moments nor the end are worth keeping', () => {
  expect([4.9, 5, 89.9, 91].map((at) => worthKeeping(at, 100))).toEqual([null, 5, 89, null]);
  expect(worthKeeping(3590, 3600)).toBeNull();
  expect(worthKeeping(3580, 3600)).toBe(3580);
  expect(worthKeeping(50, null)).toBe(50);
});
test('the address wins over memory, and nothing beyond the end counts', () => {
  expect(startOf(90, '20', 100)).toBe(90);
  expect(startOf(null, '20', 100)).toBe(20);
  expect(startOf(0, '20', 100)).toBe(0);
  expect(startOf(null, 'rubbish', 100)).toBe(0);
  expect(startOf(100, null, 100)).toBe(0);
  expect(startOf(null, null, null)).toBe(0);
});

test('a growing video is as long as the server says', () => {
  expect(coverage(15, 60, true)).toEqual({ total_s: 60, there: 0.25, partial: true });
  expect(coverage(Number.NaN, 60, true)).toEqual({ total_s: 60, there: 0, partial: true });
  expect(coverage(60, 60, true)).toEqual({ total_s: 60, there: 1, partial: false });
  expect(coverage(59.9, 60, true).partial).toBe(false);
});
test('a finished video is as long as the player says', () => {
  expect(coverage(59.9, 60, false)).toEqual({ total_s: 59.9, there: 1, partial: false });
  expect(coverage(Number.NaN, 60, false).total_s).toBe(60);
  expect(coverage(Number.POSITIVE_INFINITY, null, true)).toEqual({ total_s: 0, there: 1, partial: false });
});

test('a fault has a short code, a sentence and a fix', () => {
  expect(faultOf('networkError', 'fragLoadError', 404).code).toBe('M-NET-FLE-404');
  expect(faultOf('networkError', 'fragLoadTimeOut', null).code).toBe('M-NET-FLTO');
  expect(faultOf('mediaError', 'bufferAppendError', null).code).toBe('M-MED-BAE');
  expect(faultOf('networkError', 'levelLoadError', 403).human).toMatch(/permission/);
  expect(elementFault(2).human).toMatch(/cannot be reached/);
});
test('every load gives up a silent server after two and a half seconds', () => {
  const options = hlsOptions(7);
  for (const policy of [options.manifestLoadPolicy, options.playlistLoadPolicy, options.fragLoadPolicy]) {
    expect(policy.default).toEqual({
      maxTimeToFirstByteMs: 2500,
      maxLoadTimeMs: 20_000,
      timeoutRetry: { maxNumRetry: 1, retryDelayMs: 0, maxRetryDelayMs: 0 },
      errorRetry: { maxNumRetry: 1, retryDelayMs: 200, maxRetryDelayMs: 1000 },
    });
  }
  expect(options.startPosition).toBe(7);
});
test('a chosen size is seen, also where no segment follows', () => {
  expect(nextBringsIt(0, 60)).toBe(true);
  expect(nextBringsIt(47.9, 60)).toBe(true);
  expect(nextBringsIt(48, 60)).toBe(false);
  expect(nextBringsIt(1, 5)).toBe(false);
  expect(nextBringsIt(3, Number.NaN)).toBe(true);
});
test('what is loaded again begins where a picture is', () => {
  expect(reloadAt(48, 60, false)).toBe(48);
  expect(reloadAt(60, 60, false)).toBeCloseTo(59.7);
  expect(reloadAt(60, 60, true)).toBe(0);
  expect(reloadAt(0.2, 0.2, false)).toBe(0);
  expect(reloadAt(3, Number.NaN, false)).toBe(3);
});
test('a new token is the same layout, a new generation is not', () => {
  expect(sameLayout('/p/a/vid_1/2/m.m3u8', 'https://x.test/p/b/vid_1/2/m.m3u8')).toBe(true);
  expect(sameLayout('/p/a/vid_1/1/m.m3u8', '/p/a/vid_1/2/m.m3u8')).toBe(false);
});

test('a chosen sound holds for other videos as far as they have it', () => {
  const sounds = [
    { number: 0, label: 'English', language: 'en' },
    { number: 1, label: 'Comments', language: 'en' },
    { number: 2, label: 'Svenska', language: 'sv' },
    { number: 3, label: 'Audio 4', language: '' },
  ];
  const number = (label: string, language: string) => wished(sounds, { label, language })?.number;
  expect(number('Comments', 'en')).toBe(1);
  expect(number('Director', 'en')).toBe(0);
  expect(number('Audio 4', '')).toBeUndefined();
  expect(number('Deutsch', 'de')).toBeUndefined();
  expect(wished(sounds, null)).toBeNull();
});
test.each([null, '', 'no', '1', 'null', '[]', '{"label":1,"language":"en"}'])(
  '%j is no kept sound',
  (kept) => {
    expect(wishOf(kept)).toBeNull();
  },
);
test('a kept sound is read', () => {
  expect(wishOf('{"label":"A","language":"en"}')).toEqual({ label: 'A', language: 'en' });
});

test('a quality in several codecs says which one it is, and the largest come first', () => {
  const level = (height: number, videoCodec: string, more = {}) => ({
    width: height * 2,
    height,
    name: '',
    frameRate: 25,
    videoCodec,
    ...more,
  });
  const labels = (...levels: Parameters<typeof qualities>[0][number][]) =>
    qualities(levels).map(({ level: number, label }) => `${number} ${label}`);
  expect(labels(level(360, 'avc1.64001E'), level(720, 'avc1.64001F'))).toEqual(['1 720p', '0 360p']);
  expect(
    labels(
      level(720, 'avc1.64001F'),
      level(720, 'vp09.00.31.08'),
      level(720, 'av01.0.05M.10'),
      level(720, 'av01.0.05M.10.0.110.09.16.09.0', { videoRange: 'PQ' }),
      level(1080, 'avc1.640028', { frameRate: 60 }),
    ),
  ).toEqual(['4 1080p60', '0 720p H.264', '1 720p VP9', '2 720p AV1', '3 720p AV1 HDR']);
  expect(labels({ ...level(0, ''), name: '' })).toEqual(['0 Sound only']);
});

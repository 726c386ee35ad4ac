// Which place a video is played from, and when a newer layout is taken over.
import { expect, test } from 'vitest';
import { hasNewLayout, nextPlace } from './places.ts';

const own = (generation: number, token = 't') => ({
  place: 'matinee',
  hls: `https://v.example/p/${token}/vid_1/${generation}/m.m3u8`,
});
const bunny = (token: string) => ({ place: 'bn', hls: `https://vz-1.b-cdn.net/${token}/g/playlist.m3u8` });

test('places are tried in their order, each once', () => {
  const places = [bunny('a'), own(2)];
  const tried: (string | undefined)[] = [];
  const failed = new Set<string>();
  for (let n = 0; n < 3; n += 1) {
    const next = nextPlace(places, failed);
    tried.push(next?.place);
    if (next) failed.add(next.place);
  }
  expect(tried).toEqual(['bn', 'matinee', undefined]);
  expect(nextPlace([], failed)).toBeNull();
});

test('a newer layout is one of our own, wherever the server would send a new viewer', () => {
  expect(hasNewLayout(own(1), [own(2)])).toBe(true);
  expect(hasNewLayout(own(1), [bunny('a'), own(2)])).toBe(true);
  expect(hasNewLayout(own(2, 'old'), [own(2, 'new')])).toBe(false);
  expect(hasNewLayout(bunny('a'), [bunny('b'), own(2)])).toBe(false);
  expect(hasNewLayout(own(1), [bunny('a')])).toBe(false);
  expect(hasNewLayout(null, [own(1)])).toBe(false);
});

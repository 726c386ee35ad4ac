// Films of any length, and the proof that one arrived whole.
import { createHash } from 'node:crypto';
import { appendFileSync, copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Clips } from './clips.ts';
import { playable, type Server } from './server.ts';
import { until } from './wait.ts';

/** A film of about `size_bytes`: a box that players skip makes a clip long enough for a slow line. */
export async function film(clips: Clips, home: string, name: string, size_bytes: number): Promise<string> {
  const path = join(home, name);
  copyFileSync(await clips.path('moov-last.mp4'), path);
  const filler = Buffer.alloc(size_bytes, 7);
  filler.writeUInt32BE(filler.length, 0);
  filler.write('free', 4, 'latin1');
  appendFileSync(path, filler);
  return path;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Waits until the video is playable and holds its source against the file. */
export async function expectWhole(server: Server, id: string, path: string): Promise<void> {
  // It may be played before all of it is there; as a file it can be had afterwards.
  const original = await until('its source can be downloaded', async () =>
    (await playable(server, id)).downloads.find((download) => download.id === 'source'),
  );
  const answer = await fetch(original.url);
  expect(sha256(new Uint8Array(await answer.arrayBuffer()))).toBe(sha256(readFileSync(path)));
}

// Where a video is played from: the places in the order of the server's choice, and which is tried when one fails.
import type { Playback } from '../api/types.ts';
import { sameLayout } from './policy.ts';

export type Place = Playback['places'][number];

/** This server: its addresses name the layout. Those of hosts are signed anew each time and say nothing. */
const OWN = 'matinee';

/** The place to play from when these have failed; none when all have. */
export function nextPlace(places: readonly Place[], failed: ReadonlySet<string>): Place | null {
  return places.find(({ place }) => !failed.has(place)) ?? null;
}

/** Whether there is a newer layout where it plays from. Who plays from a host is left there. */
export function hasNewLayout(loaded: Place | null, places: readonly Place[]): boolean {
  if (loaded?.place !== OWN) return false;
  const now = places.find(({ place }) => place === OWN);
  return now !== undefined && !sameLayout(loaded.hls, now.hls);
}

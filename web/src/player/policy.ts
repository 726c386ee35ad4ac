// How hls.js loads: measured so that a server which accepts and never answers costs 2.5 s, not 10.

const LOAD = {
  default: {
    maxTimeToFirstByteMs: 2500,
    maxLoadTimeMs: 20_000,
    timeoutRetry: { maxNumRetry: 1, retryDelayMs: 0, maxRetryDelayMs: 0 },
    errorRetry: { maxNumRetry: 1, retryDelayMs: 200, maxRetryDelayMs: 1000 },
  },
};

/** The options of hls.js: from the start even while the playlist grows, never as a live programme. */
export function hlsOptions(start_s: number) {
  return {
    startPosition: start_s,
    manifestLoadPolicy: LOAD,
    playlistLoadPolicy: LOAD,
    fragLoadPolicy: LOAD,
    capLevelToPlayerSize: true,
    backBufferLength: 60,
    // A growing video is not live: nothing is sped up to catch up with its end, and its length stays a number.
    // (Nothing is skipped either: `liveMaxLatencyDurationCount` is endless unless it is set.)
    maxLiveSyncPlaybackRate: 1,
    liveDurationInfinity: false,
  };
}

/** A choice of size takes hold at the next segment; with less than this to come there may be none. */
const NEXT_SEGMENT_S = 12;
/** Where the last picture still is, before the end. */
const LAST_PICTURE_S = 0.3;

/** Whether the next segment brings a chosen size without a break; else the video must be loaded again. */
export function nextBringsIt(at_s: number, duration_s: number): boolean {
  return !Number.isFinite(duration_s) || duration_s - at_s > NEXT_SEGMENT_S;
}

/** Where to load a video again that was at `at_s`: at its very end there is nothing to load, and play means again. */
export function reloadAt(at_s: number, duration_s: number, ended: boolean): number {
  if (ended) return 0;
  return Number.isFinite(duration_s) ? Math.max(0, Math.min(at_s, duration_s - LAST_PICTURE_S)) : at_s;
}

/** Whether two addresses name the same layout of a video; only the token in them may differ. */
export function sameLayout(one: string, other: string): boolean {
  return layout(one) === layout(other);
}

function layout(url: string): string {
  const path = url.replace(/^[a-z]+:\/\/[^/]+/i, '');
  return path.replace(/^\/p\/[^/]+\//, '').replace(/\?.*$/, '');
}

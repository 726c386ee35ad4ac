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

/** Whether two addresses name the same layout of a video; only the token in them may differ. */
export function sameLayout(one: string, other: string): boolean {
  return layout(one) === layout(other);
}

function layout(url: string): string {
  const path = url.replace(/^[a-z]+:\/\/[^/]+/i, '');
  return path.replace(/^\/p\/[^/]+\//, '').replace(/\?.*$/, '');
}

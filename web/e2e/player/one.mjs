// Plays one address by one player and writes down what happened: the frame that each player has for itself.
const { player, url, seek_s, hls_options } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const video = document.querySelector('video');
const faults = [];
const buffers = [];
/** The languages of sounds and words, as the player lists them. */
let listed = () => ({ sounds: [], words: [] });
const add = MediaSource.prototype.addSourceBuffer;
MediaSource.prototype.addSourceBuffer = function (kind) {
  const buffer = add.call(this, kind);
  buffers.push({ kind, buffer });
  return buffer;
};

function script(name) {
  return new Promise((resolve, reject) => {
    const element = document.createElement('script');
    element.src = name;
    element.onload = resolve;
    element.onerror = () => reject(new Error(`${name} did not load`));
    document.head.append(element);
  });
}

const PLAYERS = {
  video: async () => {
    video.src = url;
  },
  hls: async () => {
    await script('/hls.js');
    const hls = new globalThis.Hls(hls_options);
    hls.on('hlsError', (_name, error) => {
      if (error.fatal) faults.push(`hls.js ${error.details} ${error.error?.message ?? ''}`);
    });
    listed = () => ({
      sounds: hls.audioTracks.map(({ lang }) => lang),
      words: hls.subtitleTracks.map(({ lang }) => lang),
    });
    const read = () => {
      hls.subtitleTrack = 0;
    };
    video.addEventListener('playing', read, { once: true });
    hls.loadSource(url);
    hls.attachMedia(video);
  },
  shaka: async () => {
    await script('/shaka.js');
    globalThis.shaka.polyfill.installAll();
    const made = new globalThis.shaka.Player();
    made.addEventListener('error', ({ detail }) => faults.push(`shaka ${detail.code} ${detail.data}`));
    await made.attach(video);
    // A growing playlist is a live programme to Shaka; from its beginning is what a viewer of a video wants.
    await made.load(url, 0);
    listed = () => ({
      sounds: made.getAudioTracks().map(({ language }) => language),
      words: made.getTextTracks().map(({ language }) => language),
    });
  },
  dash: async () => {
    await script('/dash.js');
    const made = globalThis.dashjs.MediaPlayer().create();
    made.on('error', ({ error }) => faults.push(`dash.js ${error.code} ${error.message}`));
    listed = () => ({
      sounds: made.getTracksFor('audio').map(({ lang }) => lang),
      words: made.getTracksFor('text').map(({ lang }) => lang),
    });
    made.initialize(video, url, true);
  },
};

const spans = (ranges) => Array.from({ length: ranges.length }, (_, n) => [ranges.start(n), ranges.end(n)]);

function buffered() {
  return buffers.flatMap(({ kind, buffer }) => {
    try {
      return [{ kind, spans: spans(buffer.buffered) }];
    } catch {
      // The player has thrown this one away.
      return [];
    }
  });
}

function state() {
  return {
    at_s: video.currentTime,
    duration_s: video.duration,
    ready: video.readyState,
    width: video.videoWidth,
    height: video.videoHeight,
    sound_bytes: video.webkitAudioDecodedByteCount,
    frames: video.webkitDecodedFrameCount,
    all: spans(video.buffered),
    buffered: buffered(),
    listed: listed(),
    cues: [...video.textTracks].flatMap(({ cues }) =>
      [...(cues ?? [])].map(({ startTime, endTime, text }) => ({ from_s: startTime, to_s: endTime, text })),
    ),
    faults,
    error: video.error?.message ?? null,
  };
}

async function reached(what, condition) {
  const end_ms = Date.now() + 25_000;
  while (!condition()) {
    if (faults.length > 0 || video.error) throw new Error(`${what}: ${JSON.stringify(state())}`);
    if (Date.now() > end_ms) throw new Error(`never ${what}: ${JSON.stringify(state())}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * How far the ends of picture and sound lie apart, in seconds. What lies between is the player's business: dash.js
 * throws away what it has and fetches the sizes of the picture anew.
 */
function apart(edge) {
  const [one, other] = buffered().map(({ spans: list }) => edge(list));
  return one === undefined || other === undefined ? 0 : Math.abs(one - other);
}
const firstStart = (list) => list[0]?.[0] ?? -1;
const lastEnd = (list) => list.at(-1)?.[1] ?? -1;

async function play() {
  let first_s = null;
  video.addEventListener('playing', () => {
    first_s ??= video.currentTime;
  });
  await PLAYERS[player]();
  video.play().catch(() => undefined);
  await reached(
    'playing',
    () => video.readyState >= 3 && first_s !== null && video.currentTime > first_s + 1.2,
  );
  const began = { ...state(), first_s, apart_s: apart(firstStart) };
  video.currentTime = seek_s;
  await reached(
    'beyond the seek',
    () => !video.seeking && video.readyState >= 2 && (video.currentTime > seek_s + 0.6 || video.ended),
  );
  await reached('level', () => apart(lastEnd) <= 0.05).catch((failed) => faults.push(String(failed)));
  const after = { ...state(), apart_s: apart(lastEnd) };
  video.pause();
  return { began, after };
}

globalThis.now = state;
globalThis.played = play().catch((failed) => ({ failed: String(failed) }));

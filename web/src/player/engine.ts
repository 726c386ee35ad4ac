// Plays an HLS address in a <video> element: by hls.js, or by the browser itself where media sources are missing.
import Hls from 'hls.js';
import { elementFault, type Fault, faultOf } from './fault.ts';
import { hlsOptions } from './policy.ts';
import { type Quality, qualities } from './quality.ts';
import { type Sound, type Wish, wished } from './sound.ts';

/** Broken media is skipped this often before the viewer is told. */
const RECOVERIES_MAX = 3;

export interface Told {
  qualities(list: Quality[]): void;
  /** The level that plays now. */
  level(level: number): void;
  sounds(list: Sound[]): void;
  /** The sound that plays now, by its number. */
  sound(number: number): void;
  fault(fault: Fault): void;
}

export interface Engine {
  /** -1 lets the player choose. */
  choose(level: number): void;
  /** Plays another sound, by its number. */
  listen(number: number): void;
  stop(): void;
}

/** Where to start: seconds from the beginning, the level, or -1 to let the player choose, and the sound. */
export interface Start {
  at_s: number;
  level: number;
  sound: Wish | null;
}

/** Whether captions must be given to the <video> element; else the browser finds them in the playlist. */
export const gives_captions = Hls.isSupported();

/** Starts playing `url`. */
export function engine(video: HTMLVideoElement, url: string, start: Start, told: Told): Engine {
  return Hls.isSupported() ? byHls(video, url, start, told) : byElement(video, url, start, told);
}

function byHls(video: HTMLVideoElement, url: string, start: Start, told: Told): Engine {
  // The page has the captions as tracks of its own: those of hls.js begin as `data:`, which our policy forbids.
  const hls = new Hls({ ...hlsOptions(start.at_s), renderTextTracksNatively: false });
  let recoveries = 0;
  hls.on(Hls.Events.MANIFEST_PARSED, () => {
    if (start.level >= 0) hls.loadLevel = start.level;
    told.qualities(qualities(hls.levels));
  });
  hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, () => {
    const sounds = soundsOf(hls);
    told.sounds(sounds);
    const first = wished(sounds, start.sound);
    if (first) hls.audioTrack = first.number;
  });
  hls.on(Hls.Events.AUDIO_TRACK_SWITCHED, (_event, { id }) => told.sound(id));
  hls.on(Hls.Events.LEVEL_SWITCHED, (_event, { level }) => told.level(level));
  hls.on(Hls.Events.ERROR, (_event, error) => {
    if (!error.fatal) return;
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR && recoveries < RECOVERIES_MAX) {
      recoveries += 1;
      hls.recoverMediaError();
      return;
    }
    told.fault(faultOf(error.type, error.details, error.response?.code || null));
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    choose: (level) => {
      hls.nextLevel = level;
    },
    listen: (number) => {
      hls.audioTrack = number;
    },
    stop: () => hls.destroy(),
  };
}

function soundsOf(hls: Hls): Sound[] {
  return hls.audioTracks.map(({ name, lang }, number) => ({ number, label: name, language: lang ?? '' }));
}

/** Where the browser itself plays HLS it also lists the sounds. */
interface Listening extends HTMLVideoElement {
  audioTracks?: ArrayLike<{ enabled: boolean; label: string; language: string }>;
}

function byElement(video: HTMLVideoElement, url: string, start: Start, told: Told): Engine {
  const begin = () => {
    if (start.at_s > 0) video.currentTime = start.at_s;
  };
  const fail = () => told.fault(elementFault(video.error?.code ?? 0));
  const tracks = () => (video as Listening).audioTracks ?? [];
  const listen = (number: number) => {
    for (const [at, track] of Array.from(tracks()).entries()) track.enabled = at === number;
    told.sound(number);
  };
  const offer = () => {
    const sounds = Array.from(tracks(), ({ label, language }, number) => ({ number, label, language }));
    told.sounds(sounds);
    told.sound(Array.from(tracks()).findIndex(({ enabled }) => enabled));
    const first = wished(sounds, start.sound);
    if (first) listen(first.number);
  };
  video.addEventListener('loadedmetadata', begin, { once: true });
  video.addEventListener('loadedmetadata', offer, { once: true });
  video.addEventListener('error', fail);
  video.src = url;
  return {
    choose: () => undefined,
    listen,
    stop: () => {
      video.removeEventListener('loadedmetadata', begin);
      video.removeEventListener('loadedmetadata', offer);
      video.removeEventListener('error', fail);
      video.removeAttribute('src');
      video.load();
    },
  };
}

// Does what a key asks of the <video> element itself.
import { nextRate, type Steering } from './keys.ts';

/** Carries out one action; `total_s` is the whole length, also of a video that is still being made. */
export function steer(element: HTMLVideoElement, action: Steering, total_s: number): void {
  switch (action.act) {
    case 'toggle':
      if (element.paused) void element.play();
      else element.pause();
      break;
    case 'mute':
      element.muted = !element.muted;
      break;
    case 'skip':
      seek(element, element.currentTime + action.seconds);
      break;
    case 'to':
      seek(element, total_s * action.share);
      break;
    case 'rate':
      element.playbackRate = nextRate(element.playbackRate, action.steps);
      break;
    case 'volume':
      element.volume = Math.min(1, Math.max(0, element.volume + action.by));
  }
}

/** What is not there yet cannot be reached. */
function seek(element: HTMLVideoElement, at_s: number): void {
  element.currentTime = Math.max(0, Math.min(at_s, element.duration || 0));
}

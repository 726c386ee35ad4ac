// What the player reads from the page: where the focus is, and the position and the sound kept in this browser.
import type { Focus } from './keys.ts';
import type { Wish } from './sound.ts';

/** What kind of thing a key press goes to, through shadow roots. */
export function focusOf(event: KeyboardEvent): Focus {
  const target = event.composedPath()[0];
  if (!(target instanceof Element)) return 'page';
  if (target.closest('media-chrome-menu, media-playback-rate-menu, media-captions-menu, [role=menu]'))
    return 'menu';
  if (target.matches('input[type=range], [role=slider], media-time-range, media-volume-range'))
    return 'slider';
  if (target.matches('input, textarea, select, [contenteditable]')) return 'text';
  if (target.matches('[role=tab]')) return 'slider';
  if (target.matches('button, a, summary, [role=button], [tabindex="0"]')) return 'control';
  return 'page';
}

function nameOf(id: string): string {
  return `matinee.position.${id}`;
}

/** The kept position of a video, as it was written. */
export function readPosition(id: string): string | null {
  try {
    return localStorage.getItem(nameOf(id));
  } catch {
    return null;
  }
}

/** Keeps a position in seconds, or forgets it. */
export function writePosition(id: string, at_s: number | null): void {
  try {
    if (at_s === null) localStorage.removeItem(nameOf(id));
    else localStorage.setItem(nameOf(id), String(at_s));
  } catch {
    // Without storage the video starts at its beginning next time.
  }
}

const SOUND = 'matinee.sound';

/** The sound that was chosen last, as it was written. */
export function readSound(): string | null {
  try {
    return localStorage.getItem(SOUND);
  } catch {
    return null;
  }
}

/** Keeps the choice of a sound. */
export function writeSound(wish: Wish): void {
  try {
    localStorage.setItem(SOUND, JSON.stringify({ label: wish.label, language: wish.language }));
  } catch {
    // Without storage each video begins with its own choice.
  }
}

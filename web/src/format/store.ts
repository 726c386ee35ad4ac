// What a store is and holds, in words.
import type { Store } from '../api/types.ts';
import { bytes } from './bytes.ts';
import { ago } from './time.ts';

/** How a store is, in one word for its label, and whether that is good, bad or neither. */
export function standing(store: Store): { word: string; tone: 'good' | 'bad' | 'neither' } {
  switch (store.state) {
    case 'lost':
      return { word: 'lost', tone: 'bad' };
    case 'elsewhere':
      return { word: 'another place', tone: 'bad' };
    case 'away':
      return { word: 'does not answer', tone: 'bad' };
    case 'draining':
      return { word: store.objects > 0 ? 'being emptied' : 'empty', tone: 'neither' };
    case 'working':
      return store.bad_objects > 0
        ? { word: 'has bad copies', tone: 'bad' }
        : { word: 'working', tone: 'good' };
  }
}

/** What lies in it: `12 objects, 3.4 GB`. */
export function holding(store: Store): string {
  return `${counted(store.objects)}, ${bytes(store.bytes)}`;
}

/** What waits for it; nothing when nothing does. */
export function waiting(store: Store, now_ms: number): string {
  if (store.waiting_objects === 0) return '';
  const since = store.waiting_since
    ? `, the oldest came ${ago(Date.parse(store.waiting_since), now_ms)}`
    : '';
  return `${counted(store.waiting_objects)} of ${bytes(store.waiting_bytes)} still to be copied${since}`;
}

/** What of it is bad or on its way out; nothing when nothing is. */
export function trouble(store: Store): string {
  const parts = [];
  if (store.bad_objects > 0) parts.push(`${counted(store.bad_objects)} bad, being made anew`);
  if (store.leaving_objects > 0) parts.push(`${counted(store.leaving_objects)} being deleted`);
  return parts.join('; ');
}

/** Since when every copy in it is known to be good; nothing when none has been read yet. */
export function compared(store: Store, now_ms: number): string {
  if (store.scrubbed_since === null) return '';
  const when = ago(Date.parse(store.scrubbed_since), now_ms);
  return `Every copy was read back and compared, the first of them ${when}.`;
}

/** How much of all that it should have is there, from 0 to 1. */
export function share(store: Store): number {
  const all = store.objects + store.waiting_objects + store.bad_objects;
  return all > 0 ? store.objects / all : 1;
}

function counted(objects: number): string {
  return objects === 1 ? '1 object' : `${objects} objects`;
}

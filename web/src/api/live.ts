// What the page knows about videos, and how each message of the event stream changes it.
import type { Video } from './types.ts';

/** One message of `/v1/events/stream`, as it came. */
export interface Message {
  /** The event's name: `video.changed` or a stored topic. */
  topic: string;
  /** The text behind `data:`. */
  text: string;
}

/** The videos a page shows, newest first. */
export interface Live {
  videos: readonly Video[];
  /** Ids that were deleted for good: an answer that was on its way then must not bring them back. */
  deleted?: readonly string[];
}

/** A changed picture of the videos, and the ids that must be asked for again. */
export interface Change {
  live: Live;
  ask: readonly string[];
}

/** The topics a page listens to; `video.changed` carries the whole video. */
export const TOPICS = [
  'video.changed',
  'video.created',
  'video.received',
  'video.probed',
  'video.replanned',
  'video.playable',
  'video.pictures',
  'video.ready',
  'video.failed',
  'video.deleted',
  'video.remake',
  'video.remade',
  'video.remake_failed',
  'video.remake_cancelled',
  'upload.created',
  'upload.completed',
  'upload.failed',
  'upload.expired',
  'upload.cancelled',
  'rendition.ready',
  'jobs.changed',
] as const;

/** Puts a video into its place: ids grow with time, so the newest comes first. */
export function put(live: Live, video: Video): Live {
  if (live.deleted?.includes(video.id)) return live;
  const others = live.videos.filter((known) => known.id !== video.id);
  const at = others.findIndex((known) => known.created_at < video.created_at);
  const place = at === -1 ? others.length : at;
  return { ...live, videos: [...others.slice(0, place), video, ...others.slice(place)] };
}

/** Takes a video away. */
export function drop(live: Live, id: string): Live {
  return { ...live, videos: live.videos.filter((known) => known.id !== id) };
}

/** Applies one message. A message that cannot be read changes nothing. */
export function apply(live: Live, message: Message): Change {
  const body = parsed(message.text);
  if (body === null) return { live, ask: [] };
  if (message.topic === 'video.changed' && isVideo(body)) return { live: put(live, body), ask: [] };
  const subject = videoOf(body);
  if (subject === null) return { live, ask: [] };
  if (message.topic === 'video.deleted')
    return { live: drop({ ...live, deleted: [...(live.deleted ?? []), subject] }, subject), ask: [] };
  return { live, ask: [subject] };
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function isVideo(body: object): body is Video {
  return 'id' in body && 'progress' in body && 'renditions' in body;
}

/** The video an event is about: its subject, or the one its payload names. */
function videoOf(event: Record<string, unknown>): string | null {
  const payload = typeof event.payload === 'object' && event.payload !== null ? event.payload : {};
  const named = 'video_id' in payload ? payload.video_id : undefined;
  for (const text of [event.subject, named]) {
    if (typeof text === 'string' && text.startsWith('vid_')) return text;
  }
  return null;
}

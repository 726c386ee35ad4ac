// The timeline as bars: where each one begins and how wide it is.
import type { TimelineItem } from '../api/types.ts';

export interface TimeBar {
  item: TimelineItem;
  /** Milliseconds after the first event. */
  offset_ms: number;
  /** How long it took or has been taking, in milliseconds; null for a moment. */
  length_ms: number | null;
  /** Left edge and width as shares of the whole, 0 to 1. */
  left: number;
  width: number;
}

const THIN = 0.006;

/** Places every item on one scale that ends with the last thing that happened, or now while a job runs. */
export function bars(items: readonly TimelineItem[], now_ms: number): TimeBar[] {
  const starts = items.map((item) => Date.parse(item.at));
  if (starts.length === 0) return [];
  const ends = items.map((item, index) => endOf(item, starts[index] ?? 0, now_ms));
  const first_ms = Math.min(...starts);
  const whole_ms = Math.max(1, Math.max(...ends) - first_ms);
  return items
    .map((item, index): TimeBar => {
      const start_ms = starts[index] ?? first_ms;
      const length_ms = item.kind === 'event' ? null : (ends[index] ?? start_ms) - start_ms;
      const width = Math.max(THIN, (length_ms ?? 0) / whole_ms);
      const left = Math.min((start_ms - first_ms) / whole_ms, 1 - width);
      return {
        item,
        offset_ms: start_ms - first_ms,
        length_ms,
        left: Math.max(0, left),
        width: Math.min(1, width),
      };
    })
    .sort((a, b) => a.offset_ms - b.offset_ms);
}

function endOf(item: TimelineItem, start_ms: number, now_ms: number): number {
  if (item.ended_at !== null) return Date.parse(item.ended_at);
  return item.kind === 'job' && item.outcome === null ? Math.max(start_ms, now_ms) : start_ms;
}

// How fast an upload goes and how long it still takes.

/** What was acknowledged when; only the last seconds are kept. */
export interface Meter {
  readonly marks: readonly { at_ms: number; bytes: number }[];
}

const WINDOW_MS = 5000;
const LEAST_MS = 500;

export const stillMeter: Meter = { marks: [] };

/** Notes that `bytes` of the file had arrived at `at_ms`. */
export function mark(meter: Meter, at_ms: number, bytes: number): Meter {
  const last = meter.marks.at(-1);
  // An offset that goes back is a new start: the old marks say nothing about it.
  const kept = last && bytes < last.bytes ? [] : meter.marks;
  const recent = kept.filter((known) => at_ms - known.at_ms <= WINDOW_MS);
  return { marks: [...recent, { at_ms, bytes }] };
}

/** Bytes per second over the last five seconds; null while there is too little to say. */
export function bytesPerSecond(meter: Meter, now_ms: number): number | null {
  const first = meter.marks[0];
  const last = meter.marks.at(-1);
  if (!first || !last || now_ms - last.at_ms > WINDOW_MS) return null;
  const span_ms = last.at_ms - first.at_ms;
  if (span_ms < LEAST_MS) return null;
  return ((last.bytes - first.bytes) * 1000) / span_ms;
}

/** Seconds until `left` bytes have been sent at `rate` bytes per second; null when that cannot be said. */
export function secondsLeft(left: number, rate: number | null): number | null {
  if (rate === null || rate <= 0) return null;
  return Math.max(0, left) / rate;
}

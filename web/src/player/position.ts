// Where a viewer left off.

const HEAD_S = 5;
const TAIL_S = 15;

/** The position worth remembering in seconds, or null: neither the first moments nor the end. */
export function worthKeeping(at_s: number, duration_s: number | null): number | null {
  if (at_s < HEAD_S) return null;
  if (duration_s !== null && at_s > duration_s - Math.min(TAIL_S, duration_s / 10)) return null;
  return Math.floor(at_s);
}

/** Where to start: the address wins over memory, and nothing beyond the end counts. Seconds. */
export function startOf(asked_s: number | null, kept: string | null, duration_s: number | null): number {
  const kept_s = kept === null ? null : Number.parseFloat(kept);
  const wished = asked_s ?? kept_s;
  if (wished === null || !Number.isFinite(wished) || wished < 0) return 0;
  return duration_s !== null && wished >= duration_s ? 0 : wished;
}

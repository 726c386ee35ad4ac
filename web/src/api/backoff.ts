// How long to wait before trying again.

const FIRST_MS = 500;
const MOST_MS = 15_000;

/** The wait in milliseconds before attempt `attempt` (1 is the first repetition): doubling, at most 15 s. */
export function backoffMs(attempt: number): number {
  const doubled = FIRST_MS * 2 ** Math.max(0, attempt - 1);
  return Math.min(MOST_MS, doubled);
}

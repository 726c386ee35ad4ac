// How much of a video that is still being made is there already.

export interface Coverage {
  /** The length to show, in seconds. */
  total_s: number;
  /** The share that can be played, 0 to 1. */
  there: number;
  /** Whether a part is missing that is worth showing. */
  partial: boolean;
}

/** Compares what the player has with what the server expects; a growing playlist is never the whole length. */
export function coverage(have_s: number, expected_s: number | null, growing: boolean): Coverage {
  const have = Number.isFinite(have_s) && have_s > 0 ? have_s : 0;
  if (!growing || expected_s === null || expected_s <= have)
    return {
      total_s: Math.max(have, growing ? (expected_s ?? 0) : 0) || (expected_s ?? 0),
      there: 1,
      partial: false,
    };
  return { total_s: expected_s, there: have / expected_s, partial: expected_s - have > 0.5 };
}

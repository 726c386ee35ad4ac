// Waiting for something to become true, with a message that says what was there instead.

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until the answer is neither null, undefined nor false; throws with `what` after `limit_ms`. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false>,
  limit_ms = 30_000,
  seen: () => Promise<unknown> = async () => '',
): Promise<T> {
  const end_ms = Date.now() + limit_ms;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false) return answer;
    if (Date.now() > end_ms)
      throw new Error(`waited ${limit_ms} ms in vain: ${what}; ${JSON.stringify(await seen())}`);
    await pause(100);
  }
}

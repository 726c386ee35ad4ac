// What a page shows and asks for again and again while somebody looks at it.
import { untrack } from 'svelte';
import { problemIn } from '../api/client.ts';
import type { Problem } from '../api/types.ts';
import { every } from './clock.svelte.ts';
import { session } from './session.svelte.ts';

export class Watched<T> {
  /** The newest answer. */
  answer = $state.raw<T | null>(null);
  /** When the newest question was answered, or was not. */
  now_ms = $state(Date.now());
  /** Why what somebody wanted was not done; said until they want something else. */
  refused = $state.raw<Problem | null>(null);
  /** Why the newest question was not answered. */
  #unanswered = $state.raw<Problem | null>(null);
  readonly #ask: () => Promise<T>;
  #asked = 0;
  #answered = 0;

  /** Asks every so many milliseconds, while who looks may see it. To be made while a part of the page is made. */
  constructor(every_ms: number, ask: () => Promise<T>, may: () => boolean = () => true) {
    this.#ask = ask;
    const on = () => session.server !== null && !session.closed && may();
    $effect(() => {
      if (on()) untrack(() => void this.refresh());
    });
    const again = () => {
      // A slow server is not asked again before it has answered.
      if (this.#asked === this.#answered) void this.refresh();
    };
    every(every_ms, again, on);
  }

  /** What is to be said of what went wrong. */
  get problem(): Problem | null {
    return this.refused ?? this.#unanswered;
  }

  refresh = async (): Promise<void> => {
    this.#asked += 1;
    const mine = this.#asked;
    const took = await this.#ask().then(
      (answer) => ({ answer, problem: null }),
      (thrown: unknown) => ({ answer: null, problem: problemIn(thrown) }),
    );
    // An answer never takes the place of one to a later question.
    if (mine < this.#answered) return;
    this.#answered = mine;
    this.#unanswered = took.problem;
    if (took.answer !== null) this.answer = took.answer;
    this.now_ms = Date.now();
  };

  /** Does something, and shows what there is then. */
  async act(deed: () => Promise<unknown>): Promise<void> {
    this.refused = null;
    try {
      await deed();
      await this.refresh();
    } catch (thrown) {
      this.refused = problemIn(thrown);
    }
  }
}

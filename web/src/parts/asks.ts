// What somebody asks for one after the other: work that runs, and which answer still counts.

/** Questions of one page. Only the newest has an answer that is taken; what is written is always waited for. */
export class Asks {
  #newest = 0;
  #running = 0;
  readonly #busy: (busy: boolean) => void;

  /** `busy` hears whether something runs. */
  constructor(busy: (busy: boolean) => void) {
    this.#busy = busy;
  }

  /** Asks anew. `take` gets the answer, and `failed` what went wrong, only while nobody has asked anything else. */
  async ask<T>(
    work: () => Promise<T>,
    take: (answer: T) => void,
    failed: (thrown: unknown) => void,
  ): Promise<void> {
    this.#newest += 1;
    const mine = this.#newest;
    this.#running += 1;
    this.#busy(true);
    try {
      const answer = await work();
      if (mine === this.#newest) take(answer);
    } catch (thrown) {
      if (mine === this.#newest) failed(thrown);
    }
    this.#running -= 1;
    this.#busy(this.#running > 0);
  }

  /** No answer that is still on its way counts any more. */
  forget(): void {
    this.#newest += 1;
  }
}

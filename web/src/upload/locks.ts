// One tab for each file: the same file in two tabs is sent once.

/**
 * Locks of this browser by name. Where there are none (pages without HTTPS), every lock is free: the server then lets
 * the newest request win, and nothing is lost.
 */
export class Locks {
  readonly #prefix: string;
  readonly #held = new Map<string, () => void>();
  readonly #waiting = new Map<string, AbortController>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  has(key: string): boolean {
    return this.#held.has(key);
  }

  /** Takes the lock unless another tab has it. */
  take(key: string): Promise<boolean> {
    if (this.#held.has(key)) return Promise.resolve(true);
    return new Promise((resolve) => {
      void this.#request(key, { ifAvailable: true }, resolve);
    });
  }

  /** Waits for the lock; ends without it when it is given up. */
  async wait(key: string): Promise<void> {
    this.giveUp(key);
    const stop = new AbortController();
    this.#waiting.set(key, stop);
    await new Promise<void>((resolve) => {
      this.#request(key, { signal: stop.signal }, () => resolve()).catch(() => resolve());
    });
    if (this.#waiting.get(key) === stop) this.#waiting.delete(key);
  }

  giveUp(key: string): void {
    this.#waiting.get(key)?.abort();
  }

  release(key: string): void {
    this.giveUp(key);
    this.#held.get(key)?.();
    this.#held.delete(key);
  }

  releaseAll(): void {
    for (const key of [...this.#held.keys(), ...this.#waiting.keys()]) this.release(key);
  }

  async #request(key: string, options: LockOptions, then: (mine: boolean) => void): Promise<void> {
    if (!navigator.locks) {
      this.#held.set(key, () => undefined);
      then(true);
      return;
    }
    await navigator.locks.request(`${this.#prefix}|${key}`, options, (lock) => {
      if (!lock) {
        then(false);
        return;
      }
      return new Promise<void>((release) => {
        this.#held.set(key, release);
        then(true);
      });
    });
  }
}

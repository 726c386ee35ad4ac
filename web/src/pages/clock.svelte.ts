// The time, and what is done again and again while somebody looks at a page.

/**
 * Does something every so many milliseconds while its part of the page is there, somebody sees the page, and `on` says so;
 * and at once when the page is seen again.
 */
export function every(every_ms: number, what: () => void, on: () => boolean = () => true): void {
  $effect(() => {
    if (!on()) return;
    const beat = () => {
      if (document.visibilityState === 'visible') what();
    };
    const timer = setInterval(beat, every_ms);
    document.addEventListener('visibilitychange', beat);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', beat);
    };
  });
}

/** Tells the time to a part of the page, every second. */
export class Clock {
  now_ms = $state(Date.now());

  constructor() {
    every(1000, () => {
      this.now_ms = Date.now();
    });
  }
}

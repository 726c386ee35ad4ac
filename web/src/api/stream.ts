// One event stream per page that is seen; when it cannot be had, the page asks every few seconds instead.
import { backoffMs } from './backoff.ts';
import { type Message, TOPICS } from './live.ts';

export interface Listener {
  /** A message came. */
  message(message: Message): void;
  /** Nothing may have been heard for a while: ask for everything that is shown. */
  refresh(): void;
  /** The way news come now. */
  mode(mode: 'stream' | 'polling'): void;
}

const POLL_MS = 3000;
const PATIENCE_MS = 5000;

/**
 * Listens until the returned function is called, while the page is seen.
 *
 * Without HTTP/2 a browser opens six connections to a server, for all its tabs together, and a stream holds one as long
 * as it is open. Tabs in the background, and pages that were left and are kept for the way back, would take all of them,
 * and nothing could be loaded or uploaded any more.
 */
export function listen(subject: string | null, listener: Listener): () => void {
  let source: EventSource | null = null;
  let again: ReturnType<typeof setTimeout> | undefined;
  let patience: ReturnType<typeof setTimeout> | undefined;
  let poll: ReturnType<typeof setInterval> | undefined;
  let attempt = 0;
  let mode: 'stream' | 'polling' = 'stream';

  const polling = (on: boolean): void => {
    clearTimeout(patience);
    clearInterval(poll);
    poll = on ? setInterval(listener.refresh, POLL_MS) : undefined;
    const next = on ? 'polling' : 'stream';
    if (next === mode) return;
    mode = next;
    listener.mode(mode);
  };
  const open = (): void => {
    const query = subject ? `?subject=${encodeURIComponent(subject)}` : '';
    const opened = new EventSource(`/v1/events/stream${query}`);
    source = opened;
    opened.onopen = () => {
      // Events between the first look and the stream, or during a gap, are caught by one more look.
      listener.refresh();
      attempt = 0;
      polling(false);
    };
    opened.onerror = () => {
      opened.close();
      attempt += 1;
      polling(true);
      again = setTimeout(open, backoffMs(attempt));
    };
    for (const topic of TOPICS) {
      opened.addEventListener(topic, (event) => listener.message({ topic, text: String(event.data) }));
    }
  };
  const rest = (): void => {
    source?.close();
    source = null;
    clearTimeout(again);
    clearTimeout(patience);
    clearInterval(poll);
  };
  const wake = (): void => {
    if (mode === 'polling') {
      listener.refresh();
      polling(true);
    } else patience = setTimeout(() => polling(true), PATIENCE_MS);
    open();
  };
  const look = (): void => {
    if (document.hidden) rest();
    else if (source === null) wake();
  };
  const restored = (event: PageTransitionEvent): void => {
    if (event.persisted) look();
  };

  document.addEventListener('visibilitychange', look);
  globalThis.addEventListener('pagehide', rest);
  globalThis.addEventListener('pageshow', restored);
  look();
  return () => {
    document.removeEventListener('visibilitychange', look);
    globalThis.removeEventListener('pagehide', rest);
    globalThis.removeEventListener('pageshow', restored);
    rest();
  };
}

// One event stream per page; when it cannot be had, the page asks every few seconds instead.
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

/** Listens until the returned function is called. */
export function listen(subject: string | null, listener: Listener): () => void {
  let source: EventSource | null = null;
  let again: ReturnType<typeof setTimeout> | undefined;
  let patience: ReturnType<typeof setTimeout> | undefined;
  let poll: ReturnType<typeof setInterval> | undefined;
  let attempt = 0;

  const polling = (on: boolean): void => {
    clearTimeout(patience);
    if (on === (poll !== undefined)) return;
    clearInterval(poll);
    poll = on ? setInterval(() => document.hidden || listener.refresh(), POLL_MS) : undefined;
    listener.mode(on ? 'polling' : 'stream');
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

  patience = setTimeout(() => polling(true), PATIENCE_MS);
  open();
  return () => {
    source?.close();
    clearTimeout(again);
    clearTimeout(patience);
    clearInterval(poll);
  };
}

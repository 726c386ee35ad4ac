// One request with a body whose progress can be seen, which `fetch` cannot do yet.
import type { Answer } from './answer.ts';

export interface Asked {
  method: 'POST' | 'HEAD' | 'PATCH' | 'DELETE';
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: Blob;
  signal: AbortSignal;
  /** Called with the bytes of the body that have left. */
  sent?: (bytes: number) => void;
}

/** A line that moves nothing for so long is dead, whatever the system says. */
const QUIET_MS = 45_000;
/** A proxy that buffers answers only after it has passed on the whole body. */
const ANSWER_MS = 180_000;

/** Asks; a request that got no answer has status 0. Never throws; after an abort it never answers. */
export function ask({ method, url, headers, body, signal, sent }: Asked): Promise<Answer> {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patient = (ms: number): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        request.abort();
        ended();
      }, ms);
    };
    const stop = (): void => {
      clearTimeout(timer);
      request.abort();
    };
    const ended = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      if (signal.aborted) return;
      const headers = headersOf(request.getAllResponseHeaders());
      resolve({
        status: request.status,
        header: (name) => headers.get(name) ?? null,
        text: request.responseText,
      });
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      patient(QUIET_MS);
      sent?.(event.loaded);
    };
    request.upload.onload = () => patient(ANSWER_MS);
    request.onload = ended;
    request.onerror = ended;
    signal.addEventListener('abort', stop);
    patient(QUIET_MS);
    request.send(body ?? null);
  });
}

/** All of them at once: asking for one that another site may not see is written to the console as an error. */
function headersOf(text: string): Headers {
  const lines = text.split('\r\n').map((line) => /^([^:]+): ?(.*)$/.exec(line));
  return new Headers(
    lines.flatMap((pair) => (pair ? [[pair[1] ?? '', pair[2] ?? ''] as [string, string]] : [])),
  );
}

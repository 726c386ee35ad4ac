// What an answer to a tus request means for the upload; which proxy or server wrote it is part of the question.
import { problemOf, reasonOf } from '../api/problem.ts';
import type { Reason } from '../api/types.ts';

/** An answer, or its absence (status 0). */
export interface Answer {
  status: number;
  header(name: string): string | null;
  text: string;
}

/** Why an upload waits. */
export type Why =
  /** No answer at all. */
  | 'network'
  /** A proxy answers that it does not reach the server. */
  | 'gateway'
  /** The server has something else to do first; `note` may say what. */
  | 'server'
  /** Another request of this upload is still being ended. */
  | 'busy';

export type Meaning =
  | { is: 'good' }
  | { is: 'wait'; why: Why; after_ms: number | null; note: string | null }
  /** The server is at another offset. */
  | { is: 'elsewhere'; at_bytes: number }
  /** A proxy refuses a request of this size. */
  | { is: 'too_large' }
  | { is: 'gone' }
  | { is: 'failed'; reason: Reason };

const BUSY: ReadonlySet<number> = new Set([409, 423, 425, 429]);
const GATEWAY: ReadonlySet<number> = new Set([502, 503, 504]);
/** A server that asks for more patience than this is asked earlier all the same. */
const PATIENCE_MS = 60_000;

/** Reads an answer. */
export function meaning(answer: Answer): Meaning {
  const { status } = answer;
  if (status >= 200 && status < 300) return { is: 'good' };
  if (status === 0) return wait('network', answer);
  if (status === 408) return wait('gateway', answer);
  const at = offsetOf(answer);
  if (status === 409 && at !== null) return { is: 'elsewhere', at_bytes: at };
  if (BUSY.has(status)) return wait('busy', answer);
  // Our server marks each of its answers; what has no mark was written on the way.
  if (status === 413 && !isOurs(answer)) return { is: 'too_large' };
  if (status >= 500) return wait(GATEWAY.has(status) && !isOurs(answer) ? 'gateway' : 'server', answer);
  if (status === 404 || status === 410) return { is: 'gone' };
  return { is: 'failed', reason: reasonIn(answer) };
}

function wait(why: Why, answer: Answer): Meaning {
  const seconds = Number(answer.header('Retry-After') ?? 'none');
  const after_ms = seconds >= 0 ? Math.min(PATIENCE_MS, seconds * 1000) : null;
  const reason = why === 'server' && isOurs(answer) ? reasonIn(answer) : null;
  return { is: 'wait', why, after_ms, note: reason && `${reason.human} ${reason.fix}` };
}

function isOurs(answer: Answer): boolean {
  return answer.header('Tus-Resumable') !== null;
}

/** The reason that a problem document gives, or what its status alone says. */
export function reasonIn(answer: Answer): Reason {
  let body: unknown = null;
  try {
    body = JSON.parse(answer.text);
  } catch {
    // A proxy's page instead of a problem document: the status alone has to do.
  }
  return reasonOf(problemOf(answer.status, body));
}

/** The offset that an answer names. */
export function offsetOf(answer: Answer): number | null {
  return wholeNumber(answer.header('Upload-Offset'));
}

/** A header that is a whole number. */
export function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** `Upload-Metadata` of these pairs; empty values are left out. */
export function metadataOf(pairs: Readonly<Record<string, string>>): string {
  return Object.entries(pairs)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key} ${base64(value)}`)
    .join(',');
}

function base64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));
}

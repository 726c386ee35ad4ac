// Turns whatever went wrong with a request into a sentence and what to do about it.
import type { Problem, Reason } from './types.ts';

/** What a person can do when the server gave no advice, by status. */
const FIXES: Readonly<Record<number, string>> = {
  401: 'Open your sign-in link again, or paste your token.',
  403: 'Ask the administrator of this server for the right to do this.',
  404: 'Check the address, or go back to the start page.',
  413: 'Choose a smaller file, or ask the administrator to raise the limit.',
  429: 'Wait a moment and try again.',
  507: 'Free some disk space on the server, then try again.',
};

/** Reads an error answer; any body is accepted, because a proxy may have written it. */
export function problemOf(status: number, body: unknown): Problem {
  const given = typeof body === 'object' && body !== null ? (body as Partial<Problem>) : {};
  const broken = status >= 500;
  return {
    type: given.type ?? 'about:blank',
    title: given.title ?? (broken ? 'The server could not answer' : 'The server refused this'),
    status,
    detail:
      given.detail ??
      (broken ? `The server answered with status ${status}.` : (given.title ?? `Status ${status}.`)),
    code: given.code ?? `http_${status}`,
    fix:
      given.fix ??
      FIXES[status] ??
      (broken ? 'Try again in a moment.' : 'Check what you entered and try again.'),
    request_id: given.request_id ?? '',
  };
}

/** The problem of a request that got no answer at all. */
export function unreachable(): Problem {
  return {
    type: 'about:blank',
    title: 'The server cannot be reached',
    status: 0,
    detail: 'No answer came from the server.',
    code: 'unreachable',
    fix: 'Check that matinee is running and that you are connected; this page tries again by itself.',
    request_id: '',
  };
}

/** The same three facts as a reason, for places that show either. */
export function reasonOf(problem: Problem): Reason {
  return { code: problem.code, human: problem.detail || problem.title, fix: problem.fix };
}

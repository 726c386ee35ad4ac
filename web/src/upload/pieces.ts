// How much of a file one request carries: smaller when something on the way refuses it, carefully larger again.

/** What a refused piece tells about the way to the server. */
type Fault =
  /** 413: this many bytes are too many. */
  | 'size'
  /** 408 or 504: a request may not take this long. */
  | 'time'
  /** 502 or 503, although the server itself answers. */
  | 'gateway'
  /** The connection was cut at the same size again, and nothing of it had arrived. */
  | 'cut';

/** What is known of the way to one server. */
export interface Pieces {
  /** The most that the next request carries. */
  size_bytes: number;
  /** The largest piece that got through; 0 when none did. */
  passed_bytes: number;
  /** The smallest piece that was refused; null when none was. */
  refused_bytes: number | null;
  fault: Fault | null;
  /** Failures in a row at this size of which nothing had arrived. */
  strikes: number;
  /** Whole pieces of this size that got through in a row. */
  streak: number;
}

/** What became of a piece that failed. */
export interface Failure {
  /** The status of the answer; 0 when there was none. */
  status: number;
  /** What the request carried. */
  tried_bytes: number;
  /** How much of it had arrived all the same. */
  gained_bytes: number;
}

/** 100 MB: the limit of common CDNs; also what a proxy that buffers can lose at most. */
export const LARGEST_BYTES = 100_000_000;
/** Below this the way is broken, not narrow. */
const SMALLEST_BYTES = 64_000;
/** Sizes that fit under usual limits: 1 MB is that of an nginx that nobody configured. */
const STEPS_BYTES = [LARGEST_BYTES, 32_000_000, 8_000_000, 1_000_000, 250_000, SMALLEST_BYTES] as const;
/** A cut may be chance; the same twice is a pattern. */
const STRIKES_MAX = 2;
/** Pieces that must get through before a larger one is tried. */
const GROW_AFTER = 8;
/** Limits nearer than this to what gets through are not worth another refusal. */
const NEAR = 1.5;

export const unknownWay: Pieces = {
  size_bytes: LARGEST_BYTES,
  passed_bytes: 0,
  refused_bytes: null,
  fault: null,
  strikes: 0,
  streak: 0,
};

/** What is known after `bytes` got through in one request. */
export function passed(pieces: Pieces, bytes: number): Pieces {
  const whole = bytes >= pieces.size_bytes;
  const next: Pieces = {
    ...pieces,
    passed_bytes: Math.max(pieces.passed_bytes, bytes),
    strikes: 0,
    streak: whole ? pieces.streak + 1 : pieces.streak,
  };
  // What was refused gets through now: the limit is gone.
  const lifted = next.refused_bytes !== null && bytes >= next.refused_bytes;
  const known: Pieces = lifted ? { ...next, refused_bytes: null } : next;
  if (whole && known.size_bytes >= LARGEST_BYTES) return { ...known, fault: null, refused_bytes: null };
  return known.streak >= GROW_AFTER ? grown(known) : known;
}

function grown(pieces: Pieces): Pieces {
  const { size_bytes, refused_bytes } = pieces;
  const wanted = refused_bytes === null ? size_bytes * 4 : Math.floor(Math.sqrt(size_bytes * refused_bytes));
  const near = refused_bytes !== null && refused_bytes < size_bytes * NEAR;
  return { ...pieces, streak: 0, size_bytes: near ? size_bytes : Math.min(LARGEST_BYTES, wanted) };
}

/** What is known after a piece failed. */
export function failed(pieces: Pieces, failure: Failure): Pieces {
  const fault = faultOf(failure.status);
  // What arrives although the request breaks is no question of size: it goes on where it is.
  if (fault === null || (failure.gained_bytes > 0 && fault !== 'size')) {
    return { ...pieces, strikes: 0, streak: 0 };
  }
  const sure = fault === 'size' || fault === 'time' || pieces.strikes + 1 >= STRIKES_MAX;
  if (!sure) return { ...pieces, strikes: pieces.strikes + 1, streak: 0 };
  return {
    size_bytes: below(failure.tried_bytes, pieces.passed_bytes),
    passed_bytes: pieces.passed_bytes < failure.tried_bytes ? pieces.passed_bytes : 0,
    refused_bytes: Math.min(failure.tried_bytes, pieces.refused_bytes ?? failure.tried_bytes),
    fault,
    strikes: 0,
    streak: 0,
  };
}

function faultOf(status: number): Fault | null {
  if (status === 413) return 'size';
  if (status === 408 || status === 504) return 'time';
  if (status === 502 || status === 503) return 'gateway';
  return status === 0 ? 'cut' : null;
}

/** The next smaller step; what is known to get through is better than a guess. */
function below(tried: number, known: number): number {
  const step = STEPS_BYTES.find((size) => size < tried) ?? SMALLEST_BYTES;
  return known < tried && known > step ? known : step;
}

/** Whether a refusal of this many bytes means that nothing will ever get through. */
export function hopeless(tried_bytes: number): boolean {
  return tried_bytes <= SMALLEST_BYTES;
}

/** The likely cause in plain language; null while nothing is in the way. `say` writes a size. */
export function advice(pieces: Pieces, say: (bytes: number) => string): string | null {
  if (pieces.fault === null || pieces.refused_bytes === null) return null;
  const who = 'Something between you and the server (a proxy)';
  const got = pieces.passed_bytes > 0;
  const size = (bytes: number): string => say(bytes).replace('.0 ', ' ');
  const then = got ? 'sending smaller pieces' : 'trying smaller pieces';
  const limit = got
    ? `requests over ${size(pieces.passed_bytes)}`
    : `requests of ${size(pieces.refused_bytes)}`;
  switch (pieces.fault) {
    case 'size':
      return `${who} refuses ${limit}; ${then}.`;
    case 'time':
      return `${who} gives up on requests that take long; ${then}.`;
    case 'gateway':
      return `${who} fails on ${limit}; ${then}.`;
    case 'cut':
      return `${who} holds back and cuts ${limit}; ${then}.`;
  }
}

/** How long what was learned about a way is believed: somebody may have lifted the limit. */
const BELIEVED_MS = 24 * 3600 * 1000;
const SERVERS_MAX = 20;

interface Learned extends Pieces {
  server: string;
  at_ms: number;
}

/** What was learned about the way to a server, from the text that `learn` made. */
export function recall(text: string | null, server: string, now_ms: number): Pieces {
  const known = read(text).find((one) => one.server === server);
  if (!known || now_ms - known.at_ms > BELIEVED_MS) return unknownWay;
  const { size_bytes, passed_bytes, refused_bytes, fault } = known;
  return { size_bytes, passed_bytes, refused_bytes, fault, strikes: 0, streak: 0 };
}

/** The text with what is known now about the way to this server; a way without limits needs no memory. */
export function learn(text: string | null, server: string, pieces: Pieces, now_ms: number): string {
  const others = read(text).filter((one) => one.server !== server && now_ms - one.at_ms <= BELIEVED_MS);
  const mine: Learned[] = pieces.fault === null ? [] : [{ ...pieces, server, at_ms: now_ms }];
  return JSON.stringify([...mine, ...others].slice(0, SERVERS_MAX));
}

function read(text: string | null): Learned[] {
  try {
    const list: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(list) ? list.filter(isLearned) : [];
  } catch {
    return [];
  }
}

function isLearned(value: unknown): value is Learned {
  const one = value as Partial<Learned> | null;
  return (
    typeof one?.server === 'string' &&
    typeof one.at_ms === 'number' &&
    typeof one.size_bytes === 'number' &&
    one.size_bytes >= SMALLEST_BYTES &&
    one.size_bytes <= LARGEST_BYTES &&
    typeof one.passed_bytes === 'number'
  );
}

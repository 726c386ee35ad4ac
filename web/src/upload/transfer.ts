// Sends one file by tus in pieces; it never waits by itself and leaves every retry to the queue.
import type { Reason } from '../api/types.ts';
import { type Answer, meaning, metadataOf, offsetOf, reasonIn, type Why, wholeNumber } from './answer.ts';
import { type Failure, failed, hopeless, type Pieces, passed } from './pieces.ts';
import { type Asked, ask } from './request.ts';
import { sendTail } from './tail.ts';

export interface Told {
  /** The server knows the upload: its address and the ids of upload and video. */
  named(url: string, upload_id: string | null, video_id: string | null): void;
  /** What has left this machine, and what of it the server has written down for good. */
  progress(sent_bytes: number, safe_bytes: number): void;
  /** After a pause: what the server has. */
  safe(safe_bytes: number): void;
  /** The way or the server is away: worth another try, not before `after_ms` when it is given. */
  stalled(why: Why, note: string | null, after_ms: number | null): void;
  /** The server no longer has this upload. */
  gone(): void;
  done(): void;
  failed(reason: Reason): void;
}

/** Where a file goes, and what is known of the way there. */
export interface Target {
  /** Where uploads are created; null when there is only the address of this one. */
  endpoint: string | null;
  token: string | null;
  metadata: Readonly<Record<string, string>>;
  pieces: Pieces;
}

/** What one request came to: go on at once, or the end of this try. */
type Next = 'on' | 'end';

export class Transfer {
  readonly #file: File;
  readonly #target: Target;
  readonly #told: Told;
  #url: string | null;
  #offset = 0;
  /** Whether the server was never told the length. */
  #deferred = false;
  /** A piece that failed while the server could not say how much of it had arrived. */
  #unjudged: (Omit<Failure, 'gained_bytes'> & { from: number }) | null = null;
  #stop = new AbortController();

  constructor(file: File, url: string | null, target: Target, told: Told) {
    this.#file = file;
    this.#url = url;
    this.#target = target;
    this.#told = told;
  }

  /** Tries once, until it is done or something stands in the way; a try that still runs is ended first. */
  start(): void {
    this.stop();
    this.#stop = new AbortController();
    void this.#run(this.#stop.signal);
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Stops for a pause, and asks how much of the request that was ended has arrived. */
  async rest(): Promise<void> {
    this.stop();
    if (this.#url === null) return;
    this.#stop = new AbortController();
    const answer = await this.#ask({ method: 'HEAD', url: this.#url, signal: this.#stop.signal });
    const at = meaning(answer).is === 'good' ? offsetOf(answer) : null;
    if (at !== null) this.#told.safe(at);
  }

  /** Ends the upload at the server, too. */
  async terminate(): Promise<void> {
    this.stop();
    // What cannot be told now is removed by the server when it expires.
    if (this.#url)
      await this.#ask({ method: 'DELETE', url: this.#url, signal: new AbortController().signal });
  }

  async #run(signal: AbortSignal): Promise<void> {
    let next = this.#url === null ? await this.#create(signal) : await this.#look(signal);
    while (next === 'on' && this.#offset < this.#file.size) next = await this.#put(signal);
    if (next === 'on') this.#told.done();
  }

  #ask(asked: Omit<Asked, 'headers'> & { headers?: Record<string, string> }): Promise<Answer> {
    const { token } = this.#target;
    const headers: Record<string, string> = { 'Tus-Resumable': '1.0.0', ...asked.headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    return ask({ ...asked, headers });
  }

  async #create(signal: AbortSignal): Promise<Next> {
    const { endpoint, metadata } = this.#target;
    const url = new URL(endpoint ?? '', document.baseURI).href;
    const answer = await this.#ask({
      method: 'POST',
      url,
      signal,
      headers: { 'Upload-Length': String(this.#file.size), 'Upload-Metadata': metadataOf(metadata) },
    });
    const location = answer.header('Location');
    if (answer.status !== 201 || location === null) return this.#other(answer);
    this.#url = new URL(location, url).href;
    void sendTail(this.#file, this.#url, this.#target.token);
    this.#tellNames(answer);
    return 'on';
  }

  /** Asks how far the upload is. No answer but a clear "gone" throws away what has arrived. */
  async #look(signal: AbortSignal): Promise<Next> {
    const answer = await this.#ask({ method: 'HEAD', url: this.#url ?? '', signal });
    const at = offsetOf(answer);
    if (meaning(answer).is !== 'good') return this.#other(answer);
    const length = wholeNumber(answer.header('Upload-Length'));
    if (at === null) {
      // A good answer without an offset is not from a tus server: a proxy's page, say.
      this.#told.stalled('gateway', null, null);
      return 'end';
    }
    if (length !== null && length !== this.#file.size) {
      this.#told.failed(OTHER_LENGTH);
      return 'end';
    }
    this.#deferred = length === null;
    this.#tellNames(answer);
    this.#learn(at);
    this.#moved(at);
    return 'on';
  }

  async #put(signal: AbortSignal): Promise<Next> {
    const from = this.#offset;
    const body = this.#file.slice(from, from + this.#target.pieces.size_bytes);
    let left = 0;
    const headers: Record<string, string> = {
      'Content-Type': 'application/offset+octet-stream',
      'Upload-Offset': String(from),
    };
    if (this.#deferred) headers['Upload-Length'] = String(this.#file.size);
    const answer = await this.#ask({
      method: 'PATCH',
      url: this.#url ?? '',
      signal,
      headers,
      body,
      sent: (bytes) => {
        left = bytes;
        this.#told.progress(from + bytes, from);
      },
    });
    const at = offsetOf(answer);
    if (meaning(answer).is === 'good' && at !== null) {
      this.#target.pieces = passed(this.#target.pieces, at - from);
      this.#moved(at);
      return 'on';
    }
    return this.#broken(answer, { status: answer.status, tried_bytes: body.size, from }, left, signal);
  }

  /** A piece did not get through: what arrived of it, and was it too large? */
  async #broken(
    answer: Answer,
    piece: { status: number; tried_bytes: number; from: number },
    left: number,
    signal: AbortSignal,
  ): Promise<Next> {
    const read = meaning(answer);
    if (read.is === 'elsewhere' && read.at_bytes !== piece.from) {
      this.#moved(read.at_bytes);
      return 'on';
    }
    if (read.is === 'too_large') {
      if (hopeless(piece.tried_bytes)) {
        this.#told.failed(NOTHING_PASSES);
        return 'end';
      }
      this.#target.pieces = failed(this.#target.pieces, { ...piece, gained_bytes: 0 });
      this.#moved(piece.from);
      return 'on';
    }
    if (read.is !== 'wait' || read.why === 'busy') return this.#other(answer);
    if (answer.status === 0 && left === 0) {
      if (!(await this.#readable())) {
        this.#told.failed(FILE_CHANGED);
        return 'end';
      }
      // Nothing left this machine, so this says nothing about sizes.
      return this.#other(answer);
    }
    this.#unjudged = piece;
    const size_bytes = this.#target.pieces.size_bytes;
    const next = await this.#look(signal);
    if (next === 'end') return 'end';
    const moved = this.#offset > piece.from || this.#target.pieces.size_bytes < size_bytes;
    return moved ? 'on' : this.#other(answer);
  }

  /** With the server's offset, a failed piece says something about the way. */
  #learn(at: number): void {
    if (!this.#unjudged) return;
    const { from, ...piece } = this.#unjudged;
    this.#unjudged = null;
    this.#target.pieces = failed(this.#target.pieces, { ...piece, gained_bytes: Math.max(0, at - from) });
  }

  #moved(at: number): void {
    this.#offset = at;
    this.#told.progress(at, at);
  }

  #tellNames(answer: Answer): void {
    this.#told.named(this.#url ?? '', answer.header('Matinee-Upload'), answer.header('Matinee-Video'));
  }

  /** Everything but success ends this try. */
  #other(answer: Answer): Next {
    const read = meaning(answer);
    if (read.is === 'gone' && this.#url !== null) this.#told.gone();
    else if (read.is === 'wait') this.#told.stalled(read.why, read.note, read.after_ms);
    else if (read.is === 'elsewhere') this.#told.stalled('busy', null, null);
    else if (read.is === 'too_large') this.#told.failed(NOTHING_PASSES);
    else this.#told.failed(reasonIn(answer));
    return 'end';
  }

  async #readable(): Promise<boolean> {
    try {
      await this.#file.slice(this.#offset, this.#offset + 1).arrayBuffer();
      return true;
    } catch {
      return false;
    }
  }
}

const OTHER_LENGTH: Reason = {
  code: 'other_length',
  human: 'This upload was announced with another length than this file has.',
  fix: 'Choose the file that was announced, or begin a new upload.',
};
const FILE_CHANGED: Reason = {
  code: 'file_changed',
  human: 'The file was changed, moved or removed since it was chosen.',
  fix: 'Choose it again; when it is still being written, wait until it is whole.',
};
const NOTHING_PASSES: Reason = {
  code: 'proxy_refuses',
  human: 'Something between you and the server (a proxy) refuses even small requests.',
  fix: 'Ask whoever runs the proxy to let request bodies pass for /files/.',
};

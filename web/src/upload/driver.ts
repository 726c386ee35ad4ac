// Carries out what the queue of uploads orders, and remembers what a reload must not lose. Knows no page.
import type { Reason } from '../api/types.ts';
import { bytes } from '../format/bytes.ts';
import type { Why } from './answer.ts';
import { type Begun, fingerprint, forget, remember, remembered } from './fingerprint.ts';
import { Locks } from './locks.ts';
import { advice, learn, type Pieces, recall } from './pieces.ts';
import { type Input, type Item, type Order, step } from './queue.ts';
import { type Target, type Told, Transfer } from './transfer.ts';

const STORE = 'matinee.uploads';
const WAYS = 'matinee.pieces';

/** Where files go and what is said about each. */
export interface Settings {
  /** Where uploads are created. */
  endpoint: string;
  /** The address of the one upload that was made for this page; then nothing is created. */
  upload_url: string | null;
  token: string | null;
  /** The largest file in bytes. */
  max_bytes: number;
  /** Further metadata of each upload. */
  metadata: Readonly<Record<string, string>>;
}

export const SETTINGS: Settings = {
  endpoint: '/files/',
  upload_url: null,
  token: null,
  max_bytes: Number.POSITIVE_INFINITY,
  metadata: {},
};

export class Driver {
  items: readonly Item[] = [];
  /** Uploads from before a reload whose file must be chosen again. */
  paused: readonly Begun[] = [];
  settings: Settings = SETTINGS;
  readonly #changed: (before: readonly Item[]) => void;
  readonly #prefix: string | undefined;
  readonly #files = new Map<string, File>();
  readonly #transfers = new Map<string, Transfer>();
  readonly #targets = new Map<string, Target>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  /** Addresses of uploads that another tab began. */
  readonly #borrowed = new Map<string, string>();
  readonly #locks = new Locks('matinee.upload');

  /** `prefix` tells files of several servers apart; `changed` is called after each change with the list before. */
  constructor(changed: (before: readonly Item[]) => void, prefix?: string) {
    this.#changed = changed;
    this.#prefix = prefix;
    if (prefix === undefined) this.paused = load();
    globalThis.addEventListener('storage', this.#stored);
    globalThis.addEventListener('online', this.online);
  }

  /** Stops everything that runs; what has arrived stays at the server. */
  close(): void {
    globalThis.removeEventListener('storage', this.#stored);
    globalThis.removeEventListener('online', this.online);
    for (const transfer of this.#transfers.values()) transfer.stop();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#locks.releaseAll();
  }

  /** Takes chosen or dropped files; a file known from before goes on where it was. */
  add(files: Iterable<File>): void {
    for (const file of files) {
      const key = fingerprint(file, this.#prefix);
      const { name, size } = file;
      if (size === 0 || size > this.settings.max_bytes) {
        const reason = refusal(size, this.settings.max_bytes);
        this.take({ what: 'refuse', key, name, size_bytes: size, reason });
        continue;
      }
      const begun = load().find((known) => known.fingerprint === key);
      this.#files.set(key, file);
      const sent_bytes = this.paused.find((known) => known.fingerprint === key)?.sent_bytes ?? 0;
      this.take({ what: 'add', key, name, size_bytes: size, sent_bytes });
      if (begun) this.take({ what: 'named', key, upload_id: begun.upload_id, video_id: begun.video_id });
    }
    const keys = new Set(this.items.map((item) => item.key));
    this.#show(this.paused.filter((begun) => !keys.has(begun.fingerprint)));
  }

  online = (): void => this.take({ what: 'online' });

  /** Forgets an upload from before the reload; the server removes its bytes when they expire. */
  abandon(begun: Begun): void {
    save(forget(load(), begun.fingerprint));
    this.#show(forget(this.paused, begun.fingerprint));
  }

  /** Shows how far an upload from before the reload is. */
  note(begun: Begun): void {
    this.#show(this.paused.map((known) => (known.fingerprint === begun.fingerprint ? begun : known)));
  }

  fileOf(key: string): File | undefined {
    return this.#files.get(key);
  }

  take(input: Input): void {
    const before = this.items;
    const { items, orders } = step(before, input);
    this.items = items;
    if (items !== before) this.#changed(before);
    for (const order of orders) this.#carryOut(order);
  }

  #show(paused: readonly Begun[]): void {
    this.paused = paused;
    this.#changed(this.items);
  }

  #carryOut(order: Order): void {
    const { key } = order;
    clearTimeout(this.#timers.get(key));
    switch (order.do) {
      case 'send':
        void this.#send(key);
        return;
      case 'stop':
        void this.#transfers.get(key)?.rest();
        this.#locks.giveUp(key);
        return;
      case 'wait':
        this.#timers.set(
          key,
          setTimeout(() => this.take({ what: 'retry', key }), order.ms),
        );
        return;
      case 'terminate':
        void this.#terminate(key);
    }
  }

  async #terminate(key: string): Promise<void> {
    this.#locks.giveUp(key);
    // What another tab sends is not ours to end.
    if (!(await this.#locks.take(key))) return;
    // An upload that was not tried since it was chosen again has an address all the same.
    const transfer = this.#transfers.get(key) ?? this.#transferOf(key);
    transfer?.stop();
    this.#close(key);
    await transfer?.terminate();
  }

  /** Sends, unless another tab does it, or the upload was paused or cancelled in the meantime. */
  async #send(key: string): Promise<void> {
    if (!(await this.#locks.take(key))) {
      this.take({ what: 'elsewhere', key });
      this.#borrow(key);
      await this.#locks.wait(key);
      if (this.#locks.has(key)) this.take({ what: 'here', key });
      return;
    }
    const phase = this.items.find((item) => item.key === key)?.phase.kind;
    if (phase === 'sending' || phase === 'stalled') this.#transferOf(key)?.start();
    else if (phase === undefined) this.#locks.release(key);
  }

  #transferOf(key: string): Transfer | undefined {
    const file = this.#files.get(key);
    const known = this.#transfers.get(key);
    if (known || !file) return known;
    const begun = load().find((one) => one.fingerprint === key)?.url;
    const url = begun ?? this.#borrowed.get(key) ?? this.settings.upload_url;
    const made = new Transfer(file, url, this.#targetOf(key, file), this.#toldOf(key));
    this.#transfers.set(key, made);
    return made;
  }

  #targetOf(key: string, file: File): Target {
    const { settings } = this;
    const server = new URL(settings.upload_url ?? settings.endpoint, document.baseURI).origin;
    let pieces = recall(read(WAYS), server, Date.now());
    const target: Target = {
      endpoint: settings.upload_url === null ? settings.endpoint : null,
      // Asked for each request, so that a new token counts at once.
      get token() {
        return settings.token;
      },
      metadata: {
        filename: file.name,
        filetype: file.type || 'application/octet-stream',
        ...settings.metadata,
      },
      get pieces() {
        return pieces;
      },
      set pieces(next: Pieces) {
        if (next.fault !== pieces.fault || next.size_bytes !== pieces.size_bytes)
          write(WAYS, learn(read(WAYS), server, next, Date.now()));
        pieces = next;
      },
    };
    this.#targets.set(key, target);
    return target;
  }

  #toldOf(key: string): Told {
    return {
      named: (url, upload_id, video_id) => this.#named(key, url, upload_id, video_id),
      progress: (sent_bytes, safe_bytes) => {
        const pieces = this.#targets.get(key)?.pieces;
        const cause = pieces ? advice(pieces, bytes) : null;
        this.take({ what: 'progress', key, sent_bytes, safe_bytes, advice: cause, now_ms: Date.now() });
      },
      safe: (safe_bytes) => this.take({ what: 'safe', key, safe_bytes }),
      stalled: (why: Why, note, after_ms) => this.take({ what: 'stalled', key, why, note, after_ms }),
      gone: () => this.#gone(key),
      done: () => {
        this.#close(key);
        this.take({ what: 'done', key });
      },
      // It stays remembered: with a new token or a mended proxy it goes on where it is.
      failed: (reason) => {
        this.#transfers.delete(key);
        this.#locks.release(key);
        this.take({ what: 'failed', key, reason });
      },
    };
  }

  #named(key: string, url: string, upload_id: string | null, video_id: string | null): void {
    this.take({ what: 'named', key, upload_id, video_id });
    const item = this.items.find((known) => known.key === key);
    // Who finds the upload already whole has nothing to come back to.
    if (!item || load().some((begun) => begun.fingerprint === key && begun.url === url)) return;
    const { name, size_bytes } = item;
    const begun: Begun = { fingerprint: key, url, upload_id, video_id, sent_bytes: 0, name, size_bytes };
    save(remember(load(), begun));
  }

  /** The server does not have the upload any more: it expired, or somebody ended it. */
  #gone(key: string): void {
    const borrowed = this.#borrowed.has(key);
    this.#close(key, true);
    if (borrowed) this.take({ what: 'failed', key, reason: ENDED_ELSEWHERE });
    else if (this.settings.upload_url !== null) this.take({ what: 'failed', key, reason: OVER });
    else {
      this.take({ what: 'progress', key, sent_bytes: 0, safe_bytes: 0, advice: null, now_ms: Date.now() });
      void this.#send(key);
    }
  }

  #close(key: string, again = false): void {
    this.#transfers.delete(key);
    this.#targets.delete(key);
    this.#borrowed.delete(key);
    save(forget(load(), key));
    if (!again) this.#locks.release(key);
  }

  /** Another tab wrote down what it began. */
  #stored = (event: StorageEvent): void => {
    if (event.key !== STORE) return;
    for (const item of this.items) if (item.phase.kind === 'elsewhere') this.#borrow(item.key);
  };

  #borrow(key: string): void {
    const begun = load().find((known) => known.fingerprint === key);
    if (!begun) return;
    this.#borrowed.set(key, begun.url);
    this.take({ what: 'named', key, upload_id: begun.upload_id, video_id: begun.video_id });
  }
}

function refusal(size: number, max_bytes: number): Reason {
  if (size === 0)
    return {
      code: 'empty',
      human: 'This file is empty.',
      fix: 'Choose the file again; it may not have been saved completely.',
    };
  return {
    code: 'too_large',
    human: `This file is larger than this server accepts (${bytes(max_bytes)}).`,
    fix: 'Choose a smaller file, or ask the administrator to raise the limit.',
  };
}

const ENDED_ELSEWHERE: Reason = {
  code: 'ended_elsewhere',
  human: 'This upload was cancelled in another tab.',
  fix: 'Press Try again to send the file all the same.',
};
const OVER: Reason = {
  code: 'upload_gone',
  human: 'This upload is over: it expired, or it was cancelled.',
  fix: 'Ask for a new upload address, then choose the file again.',
};

function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function write(name: string, text: string): void {
  try {
    localStorage.setItem(name, text);
  } catch {
    // Without storage an upload cannot go on after a reload; everything else works.
  }
}

/** The uploads that were begun in this browser and are not over. */
function load(): Begun[] {
  return remembered(read(STORE));
}

function save(list: readonly Begun[]): void {
  write(STORE, JSON.stringify(list));
}

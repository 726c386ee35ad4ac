// The uploads of this page: carries out what the queue orders and remembers what a reload must not lose.
import { api, problemIn } from '../api/client.ts';
import type { Reason } from '../api/types.ts';
import { bytes } from '../format/bytes.ts';
import { type Begun, fingerprint, forget, remember, remembered } from './fingerprint.ts';
import { type Input, type Item, type Order, step } from './queue.ts';
import type { Sending } from './tus.ts';

const STORE = 'matinee.uploads';

class Uploads {
  items = $state.raw<readonly Item[]>([]);
  /** Uploads from before a reload whose file must be chosen again. */
  paused = $state.raw<readonly Begun[]>(load());
  /** Pictures of chosen files, by key. */
  pictures = $state.raw<Readonly<Record<string, string>>>({});
  endpoint = '/files/';
  max_bytes = Number.POSITIVE_INFINITY;
  #files = new Map<string, File>();
  #sendings = new Map<string, Sending>();

  /** Takes chosen or dropped files; a file known from before goes on where it was. */
  add(files: Iterable<File>): void {
    for (const file of files) {
      const key = fingerprint(file);
      const { name, size } = file;
      if (size === 0 || size > this.max_bytes) {
        this.#take({ what: 'refuse', key, name, size_bytes: size, reason: refusal(size, this.max_bytes) });
        continue;
      }
      const begun = this.paused.find((known) => known.fingerprint === key);
      this.#files.set(key, file);
      this.#take({ what: 'add', key, name, size_bytes: size, sent_bytes: begun?.sent_bytes ?? 0 });
      if (begun) this.#take({ what: 'named', key, upload_id: begun.upload_id, video_id: begun.video_id });
    }
    this.#hideResumed();
  }

  pause = (key: string): void => this.#take({ what: 'pause', key });
  resume = (key: string): void => this.#take({ what: 'resume', key });
  cancel = (key: string): void => this.#take({ what: 'cancel', key });
  dismiss = (key: string): void => this.#take({ what: 'dismiss', key });
  online = (): void => this.#take({ what: 'online' });

  /** Forgets an upload from before the reload; the server removes its bytes when they expire. */
  abandon(begun: Begun): void {
    this.paused = forget(this.paused, begun.fingerprint);
    save(forget(load(), begun.fingerprint));
  }

  /** Asks the server about the uploads from before the reload and drops those it no longer has. */
  async look(): Promise<void> {
    for (const begun of this.paused) {
      if (!begun.upload_id) continue;
      try {
        const upload = await api.upload(begun.upload_id);
        if (upload.state !== 'waiting' && upload.state !== 'uploading') this.abandon(begun);
        else this.#note({ ...begun, sent_bytes: upload.offset_bytes });
      } catch (thrown) {
        if ([404, 410].includes(problemIn(thrown).status)) this.abandon(begun);
      }
    }
  }

  setPicture(key: string, url: string): void {
    this.pictures = { ...this.pictures, [key]: url };
  }

  fileOf(key: string): File | undefined {
    return this.#files.get(key);
  }

  get busy(): boolean {
    return this.items.some((item) => item.phase.kind === 'sending' || item.phase.kind === 'stalled');
  }

  #take(input: Input): void {
    const { items, orders } = step(this.items, input);
    this.items = items;
    for (const order of orders) this.#carryOut(order);
  }

  #carryOut(order: Order): void {
    const { key } = order;
    if (order.do === 'send') void this.#send(key);
    if (order.do === 'stop') void this.#sendings.get(key)?.stop();
    if (order.do === 'wait') setTimeout(() => this.#take({ what: 'retry', key }), order.ms);
    if (order.do === 'terminate') {
      this.#sendings
        .get(key)
        ?.terminate()
        .catch(() => {
          // The server removes an upload that is not continued when it expires.
        });
      this.#close(key);
    }
  }

  /** Sends, unless the upload was paused or cancelled while the uploader was being loaded. */
  async #send(key: string): Promise<void> {
    const made = await this.#sendingOf(key).catch(() => undefined);
    const phase = this.items.find((item) => item.key === key)?.phase.kind;
    if (made && (phase === 'sending' || phase === 'stalled')) made.send();
    else if (!made) this.#take({ what: 'stalled', key });
  }

  async #sendingOf(key: string): Promise<Sending | undefined> {
    const file = this.#files.get(key);
    if (!file) return undefined;
    // Only who uploads needs the uploader's code.
    const { sending } = await import('./tus.ts');
    const known = this.#sendings.get(key);
    if (known) return known;
    const url = load().find((begun) => begun.fingerprint === key)?.url ?? null;
    const made = sending(file, this.endpoint, url, {
      named: (at, upload_id, video_id) => this.#named(key, at, upload_id, video_id),
      progress: (sent_bytes) => this.#take({ what: 'progress', key, sent_bytes, now_ms: Date.now() }),
      stalled: () => this.#take({ what: 'stalled', key }),
      gone: () => this.#again(key),
      done: () => {
        this.#take({ what: 'done', key });
        this.#close(key);
      },
      failed: (reason) => {
        this.#take({ what: 'failed', key, reason });
        this.#close(key);
      },
    });
    this.#sendings.set(key, made);
    return made;
  }

  #named(key: string, url: string, upload_id: string | null, video_id: string | null): void {
    this.#take({ what: 'named', key, upload_id, video_id });
    const item = this.items.find((known) => known.key === key);
    if (item)
      save(
        remember(load(), {
          fingerprint: key,
          url,
          upload_id,
          video_id,
          sent_bytes: 0,
          name: item.name,
          size_bytes: item.size_bytes,
        }),
      );
  }

  /** The server forgot the upload (it expired): the file is sent anew. */
  #again(key: string): void {
    this.#close(key);
    void this.#send(key);
  }

  #close(key: string): void {
    this.#sendings.delete(key);
    save(forget(load(), key));
    this.paused = forget(this.paused, key);
  }

  #note(begun: Begun): void {
    this.paused = this.paused.map((known) => (known.fingerprint === begun.fingerprint ? begun : known));
  }

  #hideResumed(): void {
    const keys = new Set(this.items.map((item) => item.key));
    this.paused = this.paused.filter((begun) => !keys.has(begun.fingerprint));
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

function load(): Begun[] {
  try {
    return remembered(localStorage.getItem(STORE));
  } catch {
    return [];
  }
}

function save(list: readonly Begun[]): void {
  try {
    localStorage.setItem(STORE, JSON.stringify(list));
  } catch {
    // Without storage an upload cannot go on after a reload; everything else works.
  }
}

export const uploads = new Uploads();

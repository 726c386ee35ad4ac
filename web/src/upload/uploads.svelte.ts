// The uploads of our own pages: the driver's state where components see it change.
import { api, problemIn } from '../api/client.ts';
import { Driver, SETTINGS } from './driver.ts';
import { type Begun, fingerprint } from './fingerprint.ts';
import { drop, type FileHandle, fileOf, find, keep, kept } from './kept.ts';
import type { Item } from './queue.ts';
import { told } from './words.ts';

class Uploads {
  items = $state.raw<readonly Item[]>([]);
  /** Uploads from before a reload whose file must be chosen again. */
  paused = $state.raw<readonly Begun[]>([]);
  /** Those of them whose file this browser finds by itself, by fingerprint. */
  known = $state.raw<ReadonlySet<string>>(new Set());
  /** Pictures of chosen files, by key. */
  pictures = $state.raw<Readonly<Record<string, string>>>({});
  /** What a screen reader is told. */
  said = $state('');
  readonly #driver = new Driver((before) => {
    const { items, paused } = this.#driver;
    this.items = items;
    this.paused = paused;
    const news = told(before, items);
    if (news !== '') this.said = news;
    this.#keep(before, items);
  });
  readonly #handles = new Map<string, FileHandle>();

  constructor() {
    this.paused = this.#driver.paused;
  }

  /** What the server allows. */
  allow(endpoint: string, max_bytes: number): void {
    this.#driver.settings = { ...SETTINGS, endpoint, max_bytes };
  }

  add(files: Iterable<File>, handles: ReadonlyMap<File, FileHandle>): void {
    for (const [file, handle] of handles) this.#handles.set(fingerprint(file), handle);
    this.#driver.add(files);
  }

  pause = (key: string): void => this.#driver.take({ what: 'pause', key });
  resume = (key: string): void => this.#driver.take({ what: 'resume', key });
  cancel = (key: string): void => this.#driver.take({ what: 'cancel', key });
  dismiss = (key: string): void => this.#driver.take({ what: 'dismiss', key });
  again = (key: string): void => this.#driver.take({ what: 'again', key });
  all = (what: 'pause_all' | 'resume_all' | 'cancel_all'): void => this.#driver.take({ what });
  fileOf = (key: string): File | undefined => this.#driver.fileOf(key);

  /** Forgets an upload from before the reload. */
  abandon(begun: Begun): void {
    this.#driver.abandon(begun);
    void drop(begun.fingerprint);
  }

  /** Goes on with uploads from before the reload whose files this browser finds; call it from a click. */
  async goOn(list: readonly Begun[]): Promise<void> {
    for (const { fingerprint: print, name } of list) {
      const handle = await find(print);
      const file = handle && (await fileOf(handle));
      if (handle && file && fingerprint(file) === print) this.add([file], new Map([[file, handle]]));
      else {
        this.known = new Set([...this.known].filter((known) => known !== print));
        this.said = `${name} could not be read. Choose the file again.`;
      }
    }
  }

  /** What was begun is kept until it is over; an upload that nobody knows yet could not go on either. */
  #keep(before: readonly Item[], after: readonly Item[]): void {
    for (const { key, phase, upload_id } of after) {
      const old = before.find((item) => item.key === key);
      const handle = this.#handles.get(key);
      if (handle && upload_id && !old?.upload_id) void keep(key, handle);
      if (phase.kind === 'done' && old?.phase.kind !== 'done') void drop(key);
    }
    for (const { key } of before) if (!after.some((item) => item.key === key)) void drop(key);
  }

  async #know(): Promise<void> {
    const prints = new Set(await kept());
    this.known = new Set(this.paused.map((begun) => begun.fingerprint).filter((print) => prints.has(print)));
  }

  /** Asks the server about the uploads from before the reload and drops those it no longer has. */
  async look(): Promise<void> {
    await this.#know();
    for (const begun of this.paused) {
      if (!begun.upload_id) continue;
      try {
        const upload = await api.upload(begun.upload_id);
        if (!['waiting', 'uploading', 'stalled'].includes(upload.state)) this.abandon(begun);
        else this.#driver.note({ ...begun, sent_bytes: upload.offset_bytes });
      } catch (thrown) {
        if ([404, 410].includes(problemIn(thrown).status)) this.abandon(begun);
      }
    }
  }

  setPicture(key: string, url: string): void {
    this.pictures = { ...this.pictures, [key]: url };
  }

  get busy(): boolean {
    return this.items.some((item) => item.phase.kind === 'sending' || item.phase.kind === 'stalled');
  }
}

export const uploads = new Uploads();

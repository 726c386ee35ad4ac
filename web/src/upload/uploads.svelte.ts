// The uploads of our own pages: the driver's state where components see it change.
import { api, problemIn } from '../api/client.ts';
import { Driver, SETTINGS } from './driver.ts';
import type { Begun } from './fingerprint.ts';
import type { Item } from './queue.ts';
import { told } from './words.ts';

class Uploads {
  items = $state.raw<readonly Item[]>([]);
  /** Uploads from before a reload whose file must be chosen again. */
  paused = $state.raw<readonly Begun[]>([]);
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
  });

  constructor() {
    this.paused = this.#driver.paused;
  }

  /** What the server allows. */
  allow(endpoint: string, max_bytes: number): void {
    this.#driver.settings = { ...SETTINGS, endpoint, max_bytes };
  }

  add = (files: Iterable<File>): void => this.#driver.add(files);
  pause = (key: string): void => this.#driver.take({ what: 'pause', key });
  resume = (key: string): void => this.#driver.take({ what: 'resume', key });
  cancel = (key: string): void => this.#driver.take({ what: 'cancel', key });
  dismiss = (key: string): void => this.#driver.take({ what: 'dismiss', key });
  again = (key: string): void => this.#driver.take({ what: 'again', key });
  all = (what: 'pause_all' | 'resume_all' | 'cancel_all'): void => this.#driver.take({ what });
  abandon = (begun: Begun): void => this.#driver.abandon(begun);
  fileOf = (key: string): File | undefined => this.#driver.fileOf(key);

  /** Asks the server about the uploads from before the reload and drops those it no longer has. */
  async look(): Promise<void> {
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

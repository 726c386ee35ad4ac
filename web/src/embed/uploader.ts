// `<matinee-uploader>`: our uploader for pages of other sites. No framework, no style element, nothing from elsewhere.
import { Driver, SETTINGS } from '../upload/driver.ts';
import { takenFrom } from '../upload/dropped.ts';
import type { Item } from '../upload/queue.ts';
import { told } from '../upload/words.ts';
import { made, type Press, Row } from './row.ts';
import { STYLE } from './style.ts';

// A classic script knows its own address only while it runs; a module script is told another way.
const script = document.currentScript as HTMLScriptElement | null;
const HOME = new URL('/files/', script?.src || document.baseURI).href;
const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);

class MatineeUploader extends HTMLElement {
  static observedAttributes = ['endpoint', 'upload-url', 'token', 'collection', 'multiple', 'accept'];
  #driver: Driver | null = null;
  readonly #rows = new Map<string, Row>();
  readonly #input = document.createElement('input');
  readonly #drop = made('div', 'drop');
  readonly #list = made('ul', 'uploads');
  readonly #said = made('p', 'said');
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    root.adoptedStyleSheets = [sheet];
    const text = made('p', 'hint', this.#slot('hint', 'Drop videos here, or paste them.'));
    const choose = made('button', 'first', this.#slot('choose', 'Choose files'));
    choose.type = 'button';
    choose.addEventListener('click', () => this.#input.click());
    this.#input.type = 'file';
    this.#input.addEventListener('change', () => {
      this.add([...(this.#input.files ?? [])]);
      this.#input.value = '';
    });
    this.#drop.append(text, choose, this.#input);
    this.#said.role = 'status';
    root.append(this.#drop, this.#list, this.#said);
    this.addEventListener('dragover', (event) => this.#dragged(event, true));
    this.addEventListener('dragleave', (event) => this.#dragged(event, false));
    this.addEventListener('drop', (event) => {
      this.#dragged(event, false);
      void takenFrom(event.dataTransfer).then(({ files }) => this.add(files));
    });
    this.addEventListener('paste', (event) => {
      void takenFrom(event.clipboardData).then(({ files }) => this.add(files));
    });
  }

  connectedCallback(): void {
    this.#configure();
    this.#timer = setInterval(() => this.#draw(), 1000);
    globalThis.addEventListener('beforeunload', this.#leaving);
  }

  /** Moved within the page it goes on; taken out of the page it stops, and what has arrived stays at the server. */
  disconnectedCallback(): void {
    clearInterval(this.#timer);
    globalThis.removeEventListener('beforeunload', this.#leaving);
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#driver?.close();
      this.#driver = null;
      this.#rows.clear();
      this.#list.replaceChildren();
    });
  }

  attributeChangedCallback(): void {
    if (this.isConnected) this.#configure();
  }

  /** Takes files as if they had been chosen. */
  add(files: readonly File[]): void {
    const room = this.hasAttribute('multiple') && !this.hasAttribute('upload-url') ? files.length : 1;
    this.#driver?.add(files.slice(0, room));
  }

  pauseAll(): void {
    this.#driver?.take({ what: 'pause_all' });
  }

  resumeAll(): void {
    this.#driver?.take({ what: 'resume_all' });
  }

  cancelAll(): void {
    this.#driver?.take({ what: 'cancel_all' });
  }

  #slot(name: string, text: string): HTMLSlotElement {
    const slot = document.createElement('slot');
    slot.name = name;
    slot.textContent = text;
    return slot;
  }

  #configure(): void {
    const endpoint = this.getAttribute('endpoint') ?? HOME;
    const upload_url = this.getAttribute('upload-url');
    this.#driver ??= new Driver((before) => this.#changed(before), upload_url ?? endpoint);
    const collection = this.getAttribute('collection');
    this.#driver.settings = {
      ...SETTINGS,
      endpoint,
      upload_url,
      token: this.getAttribute('token'),
      metadata: collection ? { collection } : {},
    };
    this.#input.multiple = this.hasAttribute('multiple') && upload_url === null;
    this.#input.accept = this.getAttribute('accept') ?? 'video/*,audio/*,.mkv,.ts,.m2ts,.mxf';
  }

  #dragged(event: DragEvent, over: boolean): void {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    this.#drop.classList.toggle('over', over);
  }

  #leaving = (event: BeforeUnloadEvent): void => {
    const busy = this.#driver?.items.some(
      ({ phase }) => phase.kind === 'sending' || phase.kind === 'stalled',
    );
    if (busy) event.preventDefault();
  };

  #changed(before: readonly Item[]): void {
    const after = this.#driver?.items ?? [];
    const news = told(before, after);
    if (news !== '') this.#said.textContent = news;
    this.#draw();
    for (const item of after)
      this.#tell(
        before.find((known) => known.key === item.key),
        item,
      );
  }

  #draw(): void {
    const items = this.#driver?.items ?? [];
    const keys = new Set(items.map((item) => item.key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
    for (const item of items) {
      const row = this.#rows.get(item.key) ?? this.#row(item);
      row.show(item, Date.now());
    }
  }

  #row(item: Item): Row {
    const row = new Row(item, (press) => this.#pressed(item.key, press));
    this.#rows.set(item.key, row);
    this.#list.append(row.element);
    return row;
  }

  #pressed(key: string, what: Press): void {
    this.#driver?.take({ what, key });
    // The row may be gone, and with it the button that had the focus.
    if (!this.#rows.has(key)) this.#drop.querySelector('button')?.focus();
  }

  /** Says to the page what happened to a file. */
  #tell(old: Item | undefined, item: Item): void {
    const { name, size_bytes, sent_bytes, upload_id, video_id, phase } = item;
    const facts = { name, size_bytes, sent_bytes, upload_id, video_id };
    if (old?.sent_bytes !== sent_bytes || old.video_id !== video_id)
      this.#send('progress', { ...facts, share: size_bytes > 0 ? sent_bytes / size_bytes : 0 });
    if (old?.phase.kind === phase.kind) return;
    if (phase.kind === 'done') this.#send('success', facts);
    if (phase.kind === 'failed') this.#send('error', { ...facts, ...phase.reason });
  }

  #send(what: string, detail: object): void {
    this.dispatchEvent(new CustomEvent(`matinee-upload-${what}`, { detail, bubbles: true, composed: true }));
  }
}

if (!customElements.get('matinee-uploader')) customElements.define('matinee-uploader', MatineeUploader);

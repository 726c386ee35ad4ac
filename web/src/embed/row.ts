// One upload in the embedded uploader: elements that are made once and changed, so that the focus stays.
import { bytes, percent } from '../format/bytes.ts';
import { about } from '../format/time.ts';
import type { Item } from '../upload/queue.ts';
import { bytesPerSecond, secondsLeft } from '../upload/speed.ts';
import { waitingWords } from '../upload/words.ts';

/** What a press on a button asks for. */
export type Press = 'pause' | 'resume' | 'cancel' | 'again' | 'dismiss';

const BUTTONS: Readonly<Record<Item['phase']['kind'], readonly Press[]>> = {
  queued: ['pause', 'cancel'],
  sending: ['pause', 'cancel'],
  stalled: ['pause', 'cancel'],
  elsewhere: ['pause', 'cancel'],
  paused: ['resume', 'cancel'],
  failed: ['again', 'dismiss'],
  done: ['dismiss'],
};
const LABELS: Readonly<Record<Press, string>> = {
  pause: 'Pause',
  resume: 'Resume',
  cancel: 'Cancel',
  again: 'Try again',
  dismiss: 'Dismiss',
};

/** Makes an element with a class, which is also its part name for pages that style it. */
export function made<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  name: string,
  ...children: Node[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = name;
  element.setAttribute('part', name);
  element.append(...children);
  return element;
}

export class Row {
  readonly element: HTMLLIElement;
  readonly #fill = document.createElement('div');
  readonly #bar: HTMLDivElement;
  readonly #state = made('p', 'state');
  readonly #advice = made('p', 'advice');
  readonly #actions = made('div', 'actions');
  readonly #press: (press: Press) => void;

  constructor(item: Item, press: (press: Press) => void) {
    const name = made('p', 'name');
    name.textContent = item.name;
    this.#bar = made('div', 'bar', this.#fill);
    this.#bar.role = 'progressbar';
    this.#bar.ariaLabel = `Upload of ${item.name}`;
    this.#bar.ariaValueMin = '0';
    this.#bar.ariaValueMax = '100';
    this.#press = press;
    this.element = made('li', 'upload', name, this.#bar, this.#state, this.#advice, this.#actions);
  }

  show(item: Item, now_ms: number): void {
    const { kind } = item.phase;
    const share = item.size_bytes > 0 ? item.sent_bytes / item.size_bytes : 0;
    this.element.dataset.phase = kind;
    this.#fill.style.width = `${share * 100}%`;
    this.#bar.ariaValueNow = String(percent(share));
    this.#bar.hidden = kind === 'done' || kind === 'failed';
    this.#state.textContent = stateText(item, now_ms);
    this.#advice.textContent = kind === 'sending' || kind === 'stalled' ? (item.advice ?? '') : '';
    this.#buttons(BUTTONS[kind], item.name);
  }

  /** The first button changes its word and stays where it is, and so does the focus. */
  #buttons(wanted: readonly Press[], name: string): void {
    const buttons = [...this.#actions.children] as HTMLButtonElement[];
    for (const button of buttons.slice(wanted.length)) button.remove();
    for (const [index, press] of wanted.entries()) {
      const button = buttons[index] ?? this.#button();
      if (button.dataset.press === press) continue;
      button.dataset.press = press;
      button.textContent = LABELS[press];
      button.ariaLabel = `${LABELS[press]}: ${name}`;
    }
  }

  #button(): HTMLButtonElement {
    const button = made('button', 'action');
    button.type = 'button';
    button.addEventListener('click', () => this.#press(button.dataset.press as Press));
    this.#actions.append(button);
    return button;
  }
}

function stateText(item: Item, now_ms: number): string {
  const { phase } = item;
  const share = percent(item.size_bytes > 0 ? item.sent_bytes / item.size_bytes : 0);
  switch (phase.kind) {
    case 'sending': {
      const rate = bytesPerSecond(item.meter, now_ms);
      const left_s = secondsLeft(item.size_bytes - item.sent_bytes, rate);
      const parts = [`${share} % of ${bytes(item.size_bytes)}`];
      if (rate !== null) parts.push(`${bytes(rate)}/s`);
      if (left_s !== null) parts.push(`${about(left_s)} left`);
      return parts.join(' · ');
    }
    case 'stalled':
      return `${waitingWords(phase, navigator.onLine)}. ${phase.note ?? ''}`;
    case 'paused':
      return share > 0 ? `Paused, ${share} % is safe` : 'Paused';
    case 'queued':
      return 'Waiting for its turn';
    case 'elsewhere':
      return 'Another tab is sending this file';
    case 'done':
      return 'Received';
    case 'failed':
      return `${phase.reason.human} ${phase.reason.fix}`;
  }
}

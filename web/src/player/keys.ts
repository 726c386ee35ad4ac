// Which key does what in the player.

/** What needs nothing but the <video> element. */
export type Steering =
  | { act: 'toggle' }
  | { act: 'mute' }
  | { act: 'skip'; seconds: number }
  | { act: 'rate'; steps: 1 | -1 }
  | { act: 'volume'; by: number }
  | { act: 'to'; share: number };

export type Action =
  | Steering
  | { act: 'fullscreen' }
  | { act: 'captions' }
  | { act: 'help' }
  | { act: 'close' };

export interface Press {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** Where the focus is: keys that a control needs itself are left to it. */
export type Focus = 'page' | 'control' | 'slider' | 'menu' | 'text';

const RATES = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2] as const;

/** The list that the help shows. */
export const HELP: readonly (readonly [keys: string, does: string])[] = [
  ['Space or k', 'Play or pause'],
  ['j / l', '10 s back / forward'],
  ['← / →', '5 s back / forward'],
  ['↑ / ↓', 'Louder / quieter'],
  ['0 to 9', 'To 0 % … 90 %'],
  ['< / >', 'Slower / faster'],
  ['m', 'Mute'],
  ['c', 'Captions'],
  ['f', 'Full screen'],
  ['?', 'This help'],
];

const PLAIN: Readonly<Record<string, Action>> = {
  k: { act: 'toggle' },
  j: { act: 'skip', seconds: -10 },
  l: { act: 'skip', seconds: 10 },
  f: { act: 'fullscreen' },
  m: { act: 'mute' },
  c: { act: 'captions' },
  '<': { act: 'rate', steps: -1 },
  '>': { act: 'rate', steps: 1 },
  '?': { act: 'help' },
};

const ARROWS: Readonly<Record<string, Action>> = {
  ArrowLeft: { act: 'skip', seconds: -5 },
  ArrowRight: { act: 'skip', seconds: 5 },
  ArrowUp: { act: 'volume', by: 0.05 },
  ArrowDown: { act: 'volume', by: -0.05 },
};

/** What a key press means; null when it is not for the player. */
export function actionOf(press: Press, focus: Focus): Action | null {
  if (press.ctrlKey || press.metaKey || press.altKey || focus === 'text' || focus === 'menu') return null;
  const { key } = press;
  if (/^[0-9]$/.test(key)) return { act: 'to', share: Number(key) / 10 };
  if (key === 'Escape') return { act: 'close' };
  // Space presses a focused button; arrows move a focused slider.
  if (key === ' ') return focus === 'page' ? { act: 'toggle' } : null;
  if (key in ARROWS) return focus === 'slider' ? null : (ARROWS[key] ?? null);
  return PLAIN[key.length === 1 ? key.toLowerCase() : key] ?? null;
}

/** The next slower or faster rate. */
export function nextRate(rate: number, steps: 1 | -1): number {
  const next = steps > 0 ? RATES.find((known) => known > rate) : RATES.findLast((known) => known < rate);
  return next ?? rate;
}

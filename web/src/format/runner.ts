// What a runner is and does, in words.
import type { Runner } from '../api/types.ts';
import { ago } from './time.ts';

/** How a runner is, in one word for its label, and whether that is good, bad or neither. */
export function condition(runner: Runner): { word: string; tone: 'good' | 'bad' | 'neither' } {
  switch (runner.state) {
    case 'invited':
      return { word: 'not here yet', tone: 'neither' };
    case 'draining':
      return { word: runner.jobs.length > 0 ? 'draining' : 'drained', tone: 'neither' };
    case 'revoked':
      return { word: 'revoked', tone: 'neither' };
    case 'active':
      if (!runner.online) return { word: 'not heard of', tone: 'bad' };
      return { word: runner.jobs.length > 0 ? 'working' : 'waiting for work', tone: 'good' };
  }
}

/** Slots in use and in all: `2 of 8 slots`. */
export function load(runner: Runner): string {
  return `${runner.jobs.length} of ${runner.slots} ${runner.slots === 1 ? 'slot' : 'slots'}`;
}

const ENGINES: Record<string, string> = { nvenc: 'NVENC', qsv: 'Quick Sync', vaapi: 'VAAPI', v4l2: 'V4L2' };

/** Its encoders in hardware as a part of a list, with a comma before: `, encodes by NVENC`; nothing without one. */
export function hardware(runner: Runner): string {
  const kinds = runner.engines.map((engine) => engine.split('-')[0] ?? '');
  const names = [...new Set(kinds)].map((kind) => ENGINES[kind] ?? kind);
  return names.length > 0 ? `, encodes by ${names.join(' and ')}` : '';
}

/** When it was heard of, or until when it can register. */
export function heard(runner: Runner, now_ms: number): string {
  if (runner.state === 'invited') {
    const over = Date.parse(runner.invited_until) <= now_ms;
    return over ? 'its registration token is over' : 'waits for its first start';
  }
  return runner.seen_at ? `heard of ${ago(Date.parse(runner.seen_at), now_ms)}` : 'never heard of';
}

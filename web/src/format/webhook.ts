// How an address that is told what happens fares, in words.
import type { Delivery, Try, Webhook } from '../api/types.ts';
import { ago, took } from './time.ts';

/** How a webhook is, in a few words for its label, and whether that is good, bad or neither. */
export function condition(hook: Webhook): { word: string; tone: 'good' | 'bad' | 'neither' } {
  switch (hook.state) {
    case 'paused':
      return { word: 'switched off', tone: 'neither' };
    case 'gone':
      return { word: 'switched off: gone', tone: 'bad' };
    case 'failing':
      return { word: 'switched off: failing', tone: 'bad' };
    case 'active':
      return hook.failures > 0 ? { word: 'does not answer', tone: 'bad' } : { word: 'on', tone: 'good' };
  }
}

/** What there is to say of it beside its state; nothing when all is well. */
export function trouble(hook: Webhook, now_ms: number): string {
  if (hook.state === 'gone')
    return 'It answered that it wants nothing more (410). Switch it on when that is mended: what waits is sent.';
  if (hook.state === 'failing')
    return 'No message was taken for five days. Switch it on when that is mended: what waits is sent.';
  if (hook.state !== 'active' || hook.failures === 0 || !hook.failing_since) return '';
  const calls = hook.failures === 1 ? 'One call' : `${hook.failures} calls in a row`;
  return `${calls} failed, the first ${ago(Date.parse(hook.failing_since), now_ms)}. It is tried again by itself.`;
}

/** How many messages wait. */
export function waiting(hook: Webhook): string {
  if (hook.waiting === 0) return 'nothing waits';
  return hook.waiting === 1 ? '1 message waits' : `${hook.waiting} messages wait`;
}

/** The topics that somebody has written, with spaces, commas or lines between; all when there are none. */
export function topicsOf(text: string): string[] {
  const topics = text.split(/[\s,]+/).filter((topic) => topic !== '');
  return topics.length > 0 ? topics : ['*'];
}

/** How one call went: `answered 204 in 32 ms`. */
export function outcome(call: Try): string {
  if (call.status === null) return `no answer after ${took(call.took_ms)}: ${call.error ?? 'unknown'}`;
  return `answered ${call.status} in ${took(call.took_ms)}`;
}

/** Where a message is, in words. */
export function where(delivery: Delivery, now_ms: number): string {
  const calls = delivery.attempts === 1 ? '1 call' : `${delivery.attempts} calls`;
  if (delivery.state === 'delivered') return `delivered after ${calls}`;
  if (delivery.state === 'failed')
    return delivery.topic === 'webhook.test' ? 'failed' : `given up after ${calls}`;
  if (delivery.attempts === 0 || delivery.next_at === null) return 'waits';
  const left_ms = Date.parse(delivery.next_at) - now_ms;
  return left_ms > 0 ? `${calls}, the next in ${took(left_ms)}` : `${calls}, the next now`;
}

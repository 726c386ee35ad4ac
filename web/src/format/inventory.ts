// What comparing stores and hosts with their rows has found, in words.
import type { Compared, Findings, Orphan } from '../api/inventory.ts';
import { bytes } from './bytes.ts';
import { amount } from './cost.ts';
import { about, ago } from './time.ts';

/** How a place stands beside its rows, in a few words for its label, and whether that is good or bad. */
export function verdict(one: Compared): { word: string; tone: 'good' | 'bad' | 'neither' } {
  if (!one.found) return { word: 'not compared yet', tone: 'neither' };
  if (one.found.unproven !== null) return { word: 'does not tell', tone: 'bad' };
  return one.found.holds
    ? { word: 'as the rows say', tone: 'good' }
    : { word: 'not as the rows say', tone: 'bad' };
}

/** When a place was compared, and when it is again. */
export function compared(one: Compared, now_ms: number): string {
  const left_s = one.next_at ? (Date.parse(one.next_at) - now_ms) / 1000 : 0;
  const next = left_s > 60 ? `in ${about(left_s)}` : 'any moment';
  if (one.checked_at === null) return `Compared for the first time ${next}.`;
  return `Compared ${ago(Date.parse(one.checked_at), now_ms)}, again ${next}.`;
}

/** What was found at a place, a sentence each. */
export function sentences(one: Compared, currency: string): string[] {
  const found = one.found;
  if (!found) return [];
  if (found.unproven !== null) {
    const there = `${things(one.held)} ${one.held === 1 ? 'is' : 'are'}, or may be, there`;
    return [
      `It does not tell what it has: ${found.unproven}`,
      `By their rows ${there}; none of that is proven.`,
    ];
  }
  const listed = found.things === 0 ? 'nothing' : `${things(found.things)}, ${bytes(found.bytes)}`;
  return [`It has ${listed}${foreign(found)}.`, orphans(found, currency), lacking(found)].filter(
    (sentence) => sentence !== '',
  );
}

function things(many: number): string {
  return many === 1 ? '1 thing' : `${many} things`;
}

function foreign({ foreign: many }: Findings): string {
  if (many === 0) return '';
  return `; ${many} of them ${many === 1 ? 'is' : 'are'} not of this server and left alone`;
}

function orphans(found: Findings, currency: string): string {
  if (found.orphans === 0) return '';
  const price = found.orphan_cost_month;
  const cost = price === null ? '' : `, ${amount(price, currency)} a month`;
  const many = found.orphans === 1 ? '1 orphan' : `${found.orphans} orphans`;
  const owed = found.owed > 0 ? `; ${found.owed} to be deleted from then on` : '';
  return `${many}: ${bytes(found.orphan_bytes)} that no row knows${cost}${owed}.`;
}

function lacking({ lacking: many }: Findings): string {
  if (many === 0) return '';
  const what = many === 1 ? '1 thing is' : `${many} things are`;
  return `${what} not there as the rows say, and made again or asked for.`;
}

const THINGS = {
  object: 'An object',
  video: 'A video',
  upload: 'Half an upload',
  version: 'What no listing shows',
} as const;

/** What an orphan is, how long it is seen, and what becomes of it. */
export function fate(one: Orphan, now_ms: number): string {
  const size = one.size_bytes === null ? '' : ` of ${bytes(one.size_bytes)}`;
  const since = one.first_seen_at ? `, seen first ${ago(Date.parse(one.first_seen_at), now_ms)}` : '';
  const what = `${THINGS[one.thing] ?? 'Something'}${size}${since}`;
  if (one.goes_at === null) return `${what}; it stays, because delete_unknown is not set for this place`;
  const left_s = (Date.parse(one.goes_at) - now_ms) / 1000;
  return `${what}; it goes ${left_s > 60 ? `in ${about(left_s)}` : 'now'}`;
}

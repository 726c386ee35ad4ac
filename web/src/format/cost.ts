// Amounts of money, and what places hold and deliver, in words.
import type { Bearer, PlaceCosts, WhatIf } from '../api/costs.ts';

/** An amount: two places, or as many as it takes to see something. */
export function amount(value: number, currency: string): string {
  const size = Math.abs(value);
  const digits = size === 0 || size >= 0.01 ? value.toFixed(2) : Number(value.toPrecision(2)).toString();
  return `${digits} ${currency}`;
}

/** The name of a month such as `2026-11`. */
export function monthName(month: string): string {
  const date = new Date(`${month}-01T00:00:00Z`);
  return date.toLocaleDateString('en', { month: 'long', year: 'numeric', timeZone: 'UTC' });
}

/** What a person calls a place. */
export function placeName(place: string): string {
  return place === 'matinee' ? 'This server' : place;
}

/** What lies there and went out from there: `79.5 GB stored, about 12.0 GB delivered`. */
export function amounts(place: PlaceCosts): string {
  const about = place.estimated ? 'about ' : '';
  const minutes = place.stored_minutes > 0 ? `, ${Math.round(place.stored_minutes)} min` : '';
  return `${gigabytes(place.stored_gb)}${minutes} stored, ${about}${gigabytes(place.delivered_gb)} delivered`;
}

function gigabytes(gb: number): string {
  if (gb > 0 && gb < 0.1) return 'less than 0.1 GB';
  return `${gb.toFixed(gb < 100 ? 1 : 0)} GB`;
}

/** The name of who bears something. */
export function bearerName(bearer: Bearer): string {
  return bearer.name ?? 'Deleted';
}

/** How long a bar is beside the dearest of all, from 0 to 1. */
export function shareOf(value: number, all: readonly { forecast: number }[]): number {
  const most = Math.max(...all.map(({ forecast }) => forecast), 0);
  return most > 0 ? value / most : 0;
}

/** What came of asking what if. */
export function outcome(found: WhatIf): string {
  const { now, then, saves, once, currency } = found;
  const change =
    saves > 0
      ? `That is ${amount(saves, currency)} less each month.`
      : saves < 0
        ? `That is ${amount(-saves, currency)} more each month.`
        : 'That makes no difference.';
  const first = once > 0 ? ` Bringing it there costs ${amount(once, currency)} once.` : '';
  return `Now it costs ${amount(now, currency)} a month, there it would be ${amount(then, currency)}. ${change}${first}`;
}

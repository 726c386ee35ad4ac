// What the page of costs asks for, in the server's words; the first page does without it.
import { call } from './client.ts';

/** What something costs in this month. */
interface Costs {
  so_far: number;
  forecast: number;
}

/** Who or what bears it; the name is null when it is deleted. */
export interface Bearer extends Costs {
  id: string;
  name: string | null;
}

export interface PlaceCosts extends Costs {
  place: string;
  card: { name: string; title: string; date: string; source: string; old: boolean } | null;
  stored_gb: number;
  stored_minutes: number;
  delivered_gb: number;
  delivered_minutes: number;
  /** What was delivered follows from the viewers that were sent there. */
  estimated: boolean;
  besides: Costs | null;
}

/** The account of a month. */
export interface CostReport extends Costs {
  month: string;
  elapsed: number;
  currency: string;
  places: PlaceCosts[];
  apps: Bearer[];
  collections: Bearer[];
  videos: Bearer[];
  warnings: string[];
}

export interface WhatIf {
  currency: string;
  now: number;
  then: number;
  saves: number;
  once: number;
  stored_gb: number;
  delivered_gb: number;
}

export interface PriceCard {
  name: string;
  old: boolean;
  written: boolean;
  card: { title: string; date: string; source: string; note: string };
}

export const costs = {
  show: () => call<CostReport>('GET', '/v1/costs'),
  cards: () => call<{ items: PriceCard[] }>('GET', '/v1/costs/cards'),
  whatIf: (collection: string, card: string) =>
    call<WhatIf>(
      'GET',
      `/v1/collections/${encodeURIComponent(collection)}/what-if?${new URLSearchParams({ card })}`,
    ),
};

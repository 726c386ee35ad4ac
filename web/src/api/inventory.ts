// What stores and hosts really have beside what the rows say.
import { call } from './client.ts';

/** Something at a place that no row knows. */
export interface Orphan {
  name: string;
  thing: 'object' | 'video' | 'upload' | 'version';
  size_bytes: number | null;
  first_seen_at: string | null;
  /** Null when it stays. */
  goes_at: string | null;
}

/** What a place has told when it was compared last. */
export interface Findings {
  holds: boolean;
  /** Why it did not tell what it has. */
  unproven: string | null;
  things: number;
  bytes: number;
  foreign: number;
  orphans: number;
  orphan_bytes: number;
  orphan_cost_month: number | null;
  owed: number;
  lacking: number;
  lacking_names: string[];
}

/** A store or a host beside its rows. */
export interface Compared {
  sort: 'store' | 'host';
  place: string;
  checked_at: string | null;
  next_at: string | null;
  found: Findings | null;
  held: number;
  held_to_delete: number;
  kept: Orphan[];
}

export const inventory = {
  show: () => call<{ items: Compared[]; currency: string }>('GET', '/v1/inventory'),
  /** Has all places compared now. */
  compare: () => call<{ places: number }>('POST', '/v1/inventory/compare'),
};

// Sizes and rates as people read them (decimal units: 1 kB is 1000 bytes).

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** A size in bytes as text: `0 B`, `999 B`, `1.2 MB`, `340 MB`. */
export function bytes(count: number): string {
  let value = Math.max(0, count);
  let unit = 0;
  // 999.5 would be shown as 1000 of the smaller unit.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** Bits per second as text: `4.8 Mbit/s`. */
export function bitrate(bits_per_s: number): string {
  if (bits_per_s >= 1e6) return `${(bits_per_s / 1e6).toFixed(1)} Mbit/s`;
  return `${Math.round(bits_per_s / 1000)} kbit/s`;
}

/** A share between 0 and 1 in whole percent; 100 is only said when it is done. */
export function percent(share: number): number {
  if (share >= 1) return 100;
  return Math.max(0, Math.min(99, Math.floor(share * 100)));
}

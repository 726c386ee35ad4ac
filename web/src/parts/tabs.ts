// A row of tabs that may be wider than the page.

/** So much of the tabs beside the chosen one is shown, in pixels, so that one sees that there are more. */
const BESIDE_PX = 40;

/** A piece of a line: where it begins, and how wide it is. */
interface Stretch {
  at: number;
  width: number;
}

/** How far a row is scrolled so that a tab of it can be seen: no further than it has to be. */
export function scrolledTo(seen: Stretch, tab: Stretch): number {
  const [begin, end] = [tab.at - BESIDE_PX, tab.at + tab.width + BESIDE_PX];
  const least = Math.max(seen.at, end - seen.width);
  // Of a tab wider than the row its beginning is seen.
  return Math.max(0, Math.min(least, begin));
}

// Where a row of tabs is scrolled to.
import { expect, test } from 'vitest';
import { scrolledTo } from './tabs.ts';

test.each([
  ['is seen with what is beside it, so the row stays', { at: 0, width: 360 }, { at: 100, width: 80 }, 0],
  ['lies behind the end, so the row follows', { at: 0, width: 360 }, { at: 500, width: 100 }, 280],
  ['is cut at the end, so the row follows', { at: 0, width: 360 }, { at: 300, width: 100 }, 80],
  ['lies before the beginning, so the row goes back', { at: 400, width: 360 }, { at: 200, width: 80 }, 160],
  ['is the first one, so the row begins at its beginning', { at: 400, width: 360 }, { at: 0, width: 80 }, 0],
  ['is wider than the row, so its beginning is seen', { at: 0, width: 360 }, { at: 100, width: 500 }, 60],
])('a tab that %s', (_, seen, tab, expected) => {
  expect(scrolledTo(seen, tab)).toBe(expected);
});

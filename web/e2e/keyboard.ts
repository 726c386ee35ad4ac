// A walk through a page by the Tab key, as somebody goes who has no mouse.
import type { CDPSession, Page } from 'puppeteer-core';

/** More stops than any page has. */
const STOPS_MAX = 150;

/** Where the focus is. */
interface Stop {
  /** The element, for whoever mends it. */
  what: string;
  role: string;
  name: string;
  /** One sees that the focus is here. */
  ringed: boolean;
  /** It lies in the window, and nothing over it. */
  seen: boolean;
  /** The stop that this element was already; -1 when it is a new one. */
  before: number;
}

export interface Walk {
  stops: Stop[];
  /** It came to the end of the page, and not back to somewhere in the middle of it. */
  ended: boolean;
}

/** The element with the focus, also inside another one; null when it is the page itself. */
const FOCUSED = `(() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  return at === document.body ? null : at;
})()`;

/** What a focused element looks like; runs in the page. */
function look(this: HTMLElement & { walked?: number }, number: number): Omit<Stop, 'role' | 'name'> {
  const before = this.walked ?? -1;
  if (before < 0) this.walked = number;
  const isRinged = (one: Element) => {
    const { boxShadow, outlineColor, outlineStyle, outlineWidth } = getComputedStyle(one);
    const clear = /^(transparent|rgba\(.*, 0\)|.*\/ 0\))$/.test(outlineColor);
    if (outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 1 && !clear) return true;
    // Controls of the player draw it inside, by a shadow.
    return one.localName.startsWith('media-') && boxShadow !== 'none';
  };
  const outer = (this.getRootNode() as ShadowRoot).host;
  const ringed = isRinged(this) || (outer !== undefined && isRinged(outer));
  const box = this.getBoundingClientRect();
  const [left, right] = [Math.max(box.left, 0), Math.min(box.right, innerWidth)];
  const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
  const root = this.getRootNode() as Document | ShadowRoot;
  const over = right > left && bottom > top && root.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  const label = this.closest('label');
  const seen = over instanceof Element && (this.contains(over) || over.contains(this) || label === over);
  const what = `${this.localName}${this.id && `#${this.id}`}.${String(this.className).replaceAll(' ', '.')}`;
  return { what: what.slice(0, 120), ringed, seen, before };
}

async function stop(devtools: CDPSession, number: number): Promise<Stop | null> {
  const { result } = await devtools.send('Runtime.evaluate', { expression: FOCUSED });
  const objectId = result.objectId;
  if (!objectId) return null;
  const looked = await devtools.send('Runtime.callFunctionOn', {
    objectId,
    functionDeclaration: look.toString(),
    arguments: [{ value: number }],
    returnByValue: true,
  });
  const { nodes } = await devtools.send('Accessibility.getPartialAXTree', {
    objectId,
    fetchRelatives: false,
  });
  const said = { role: String(nodes[0]?.role?.value ?? ''), name: String(nodes[0]?.name?.value ?? '') };
  return { ...(looked.result.value as Omit<Stop, 'role' | 'name'>), ...said };
}

/** Presses Tab from the beginning of the page to its end. */
export async function walk(page: Page): Promise<Walk> {
  const devtools = await page.createCDPSession();
  const stops: Stop[] = [];
  let ended = false;
  while (!ended && stops.length < STOPS_MAX) {
    await page.keyboard.press('Tab');
    const at = await stop(devtools, stops.length);
    if (at && at.before > 0) break;
    ended = at === null || at.before === 0;
    if (at && !ended) stops.push(at);
  }
  await devtools.detach();
  return { stops, ended };
}

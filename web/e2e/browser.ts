// A real Chromium, and pages that write down every broken rule: policy violations, errors, failed scripts.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer, { type Browser, type BrowserContext, type ElementHandle, type Page } from 'puppeteer-core';
import { until } from './wait.ts';

const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'];

export interface Window {
  browser: Browser;
  /** Everything that pages complained about and no test expected. */
  faults: string[];
  /** Opens an empty page in a tab, in the given context or the usual one; the tab before is no longer seen. */
  page(context?: BrowserContext): Promise<Page>;
  /** Opens an empty page in a window of its own, so that others stay seen. */
  beside(): Promise<Page>;
  close(): Promise<void>;
}

/** Starts Chromium with a profile of its own. */
export async function openBrowser(): Promise<Window> {
  const home = mkdtempSync(join(tmpdir(), 'matinee-e2e-chromium-'));
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    userDataDir: home,
    protocolTimeout: 60_000,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-background-timer-throttling',
      '--disable-renderer-backgrounding',
      '--disable-component-update',
      '--disable-sync',
      '--autoplay-policy=no-user-gesture-required',
      '--mute-audio',
    ],
  });
  const child = browser.process();
  const last = () => child?.kill('SIGKILL');
  process.once('exit', last);
  const faults: string[] = [];
  return {
    browser,
    faults,
    page: async (context) => watched(await (context ?? browser).newPage(), faults),
    beside: async () => watched(await browser.newPage({ type: 'window' }), faults),
    close: async () => {
      await Promise.race([browser.close(), new Promise((resolve) => setTimeout(resolve, 5000))]).catch(last);
      last();
      process.removeListener('exit', last);
      rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

async function watched(page: Page, faults: string[]): Promise<Page> {
  await page.setViewport({ width: 1280, height: 900 });
  page.on('pageerror', (error) => faults.push(`${page.url()}: ${error}`));
  page.on('console', (message) => {
    // The browser writes each answer of 4xx there, too; whether one is right is for the test to say.
    if (message.type() !== 'error' || message.text().startsWith('Failed to load resource')) return;
    faults.push(`${page.url()}: ${message.text()}`);
  });
  await page.evaluateOnNewDocument(() => {
    // A violation is not always written to the console, and reports name what the console shortens.
    document.addEventListener('securitypolicyviolation', (event) =>
      // biome-ignore lint/suspicious/noConsole: it is how the page speaks to the test.
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`),
    );
    // Only the dialogue of an <input> can be answered by a test.
    Reflect.deleteProperty(globalThis, 'showOpenFilePicker');
    // The buffers of picture and sound, which a player keeps to itself.
    const add = MediaSource.prototype.addSourceBuffer;
    const made: SourceBuffer[] = [];
    Object.assign(globalThis, { madeBuffers: made });
    MediaSource.prototype.addSourceBuffer = function (kind) {
      const buffer = add.call(this, kind);
      made.push(buffer);
      return buffer;
    };
  });
  return page;
}

/** Waits until the page shows a text. */
export const says = (page: Page, text: string, limit_ms = 20_000): Promise<boolean> =>
  until(
    `the page says "${text}"`,
    () => page.evaluate((wanted) => document.body.textContent.includes(wanted), text).catch(() => false),
    limit_ms,
    () => page.evaluate(() => document.body.textContent.slice(0, 800)),
  );

/** Presses the button or link whose name begins with `name`. */
export async function press(page: Page, name: string): Promise<void> {
  const find = (wanted: string) =>
    [...document.querySelectorAll<HTMLElement>('button, a')].find(
      (one) =>
        (one.ariaLabel ?? one.textContent ?? '').trim().startsWith(wanted) && one.checkVisibility() && true,
    ) ?? null;
  const handle = await until(`"${name}" can be pressed`, async () => {
    const found = await page.evaluateHandle(find, name);
    return found.asElement() as ElementHandle<Element> | null;
  });
  await handle.evaluate((element) => (element as HTMLElement).click());
}

/** Chooses files by the button, as a person does. */
export async function choose(page: Page, ...paths: string[]): Promise<void> {
  const [chooser] = await Promise.all([page.waitForFileChooser(), press(page, 'Choose files')]);
  await chooser.accept(paths);
}

/** Drops files or folders on the page, as the desktop does. */
export async function drop(page: Page, ...files: string[]): Promise<void> {
  const devtools = await page.createCDPSession();
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await devtools.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
  await devtools.detach();
}

/** Waits until the upload of a file is over; gives the video's id. */
export const arrived = (page: Page, name: string): Promise<string> =>
  until(
    `${name} has arrived`,
    () =>
      page
        .evaluate((wanted) => {
          const row = [...document.querySelectorAll('li[data-upload]')].find((one) =>
            one.textContent?.includes(wanted),
          );
          if (!row?.querySelector('[aria-label="Received: done"]')) return null;
          return row.querySelector<HTMLAnchorElement>('a[href^="/v/"]')?.pathname.slice(3);
        }, name)
        .catch(() => null),
    60_000,
    () => page.evaluate(() => document.querySelector('[aria-labelledby="uploads"]')?.textContent),
  );

/** Shows a page as on a phone at night, or as on a desk by day. */
export async function show(page: Page, where: 'phone' | 'desk'): Promise<void> {
  const isPhone = where === 'phone';
  await page.setViewport(isPhone ? { width: 360, height: 740 } : { width: 1280, height: 900 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: isPhone ? 'dark' : 'light' }]);
  await settle(page);
}

/** Ends what changes its colour: on its way from light to dark it has neither, and a window that nobody looks at may stay there. */
const settle = (page: Page): Promise<void> =>
  page.evaluate(() => {
    for (const change of document.getAnimations()) if (change instanceof CSSTransition) change.finish();
  });

/** Keeps pictures of a page in both ways, for whoever looks at them, in the folder that SHOTS names; leaves it as on a phone. */
export async function shots(page: Page, name: string): Promise<void> {
  const folder = process.env.SHOTS;
  if (!folder) return;
  for (const [where, suffix] of [
    ['desk', '1280-light'],
    ['phone', '360-dark'],
  ] as const) {
    await show(page, where);
    await page.screenshot({ path: join(folder, `${name}-${suffix}.png`), fullPage: true });
  }
}

/** Rules of WCAG 2.2 AA that the page breaks now. */
export async function unreachable(page: Page): Promise<string[]> {
  // The library comes in by the debugger, so the page's own policy stays as strict as it is.
  await page.evaluate(AXE);
  await settle(page);
  return page.evaluate(async (rules) => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run({ runOnly: rules });
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(' | ')}`,
    );
  }, RULES);
}

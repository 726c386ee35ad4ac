// Lets media-chrome work under `style-src 'self'`: its <style> elements become adopted style sheets.
import type { Plugin } from 'vite';

const ADOPT = '/src/player/adopt.ts';

/** Each place in media-chrome that makes or reads a <style> element, and what takes its place. */
const CHANGES: readonly (readonly [from: string, to: string])[] = [
  [
    'this.shadowRoot.setHTMLUnsafe ? this.shadowRoot.setHTMLUnsafe(html) : this.shadowRoot.innerHTML = html;',
    'matineeAdopt(this.shadowRoot, html);',
  ],
  [
    'this.shadowRoot.innerHTML = this.constructor.getTemplateHTML(attrs);',
    'matineeAdopt(this.shadowRoot, this.constructor.getTemplateHTML(attrs));',
  ],
  ['styleParent.querySelectorAll("style:not([media])")', 'matineeSheets(styleParent)'],
];

/** Files whose shadow root must have been rewritten; an upgrade that moves the code fails the build. */
const MUST_CHANGE =
  /media-chrome\/dist\/(media-(container|chrome-button|chrome-range|control-bar)|utils\/element-utils)\.js$/;

/** The Vite plugin that rewrites media-chrome while it is bundled. */
export function adoptedStyles(): Plugin {
  return {
    name: 'matinee-adopted-styles',
    enforce: 'pre',
    transform(code, id) {
      const path = id.split('?')[0] ?? id;
      if (!path.includes('/media-chrome/dist/')) return null;
      let changed = code;
      for (const [from, to] of CHANGES) changed = changed.replaceAll(from, to);
      if (changed === code) {
        if (MUST_CHANGE.test(path)) this.error(`media-chrome changed its shape: ${path}`);
        return null;
      }
      const head = `import { adopt as matineeAdopt, sheets as matineeSheets } from '${ADOPT}';\n`;
      return { code: head + changed, map: null };
    },
  };
}

// Puts media-chrome's templates into shadow roots without <style> elements, which a strict policy forbids.

/** Sheets that media-chrome must not change: those for a certain medium. */
const fixed = new WeakSet<CSSStyleSheet>();

/** Fills a shadow root; each <style> of the template becomes an adopted style sheet. */
export function adopt(root: ShadowRoot, html: string): void {
  // The content of a template is inert, so its style elements are never applied nor refused.
  const template = document.createElement('template');
  template.innerHTML = html;
  const adopted: CSSStyleSheet[] = [];
  for (const style of template.content.querySelectorAll('style')) {
    adopted.push(sheetOf(style));
    if (!style.id) {
      style.remove();
      continue;
    }
    const place = document.createElement('template');
    place.id = style.id;
    style.replaceWith(place);
  }
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, ...adopted];
  root.replaceChildren(document.importNode(template.content, true));
}

/** The sheets media-chrome may look into, in the shape of the style elements it expects. */
export function sheets(root: ShadowRoot): { sheet: CSSStyleSheet }[] {
  return root.adoptedStyleSheets.filter((sheet) => !fixed.has(sheet)).map((sheet) => ({ sheet }));
}

function sheetOf(style: HTMLStyleElement): CSSStyleSheet {
  const media = style.getAttribute('media');
  const sheet = new CSSStyleSheet(media === null ? {} : { media });
  sheet.replaceSync(style.textContent ?? '');
  if (media !== null) fixed.add(sheet);
  return sheet;
}

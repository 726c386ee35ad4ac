// Shows the small picture above the bar when keys move it, and under every mouse: media-chrome shows it to a finger that
// drags, and to a pointer only where the browser says that the device's first pointer hovers.

/** Keys that move a slider. */
const KEYS = new Set([
  'ArrowLeft',
  'ArrowRight',
  'ArrowUp',
  'ArrowDown',
  'Home',
  'End',
  'PageUp',
  'PageDown',
]);
/** The picture goes away so long after the last key. */
const LINGER_MS = 1500;

/** Watches the bar; `shown` is told when the picture must be there. */
export function scrubbing(bar: HTMLElement, shown: (on: boolean) => void): () => void {
  let by_key = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hide = (): void => {
    clearTimeout(timer);
    if (!by_key) return;
    by_key = false;
    shown(false);
    const nothing = { composed: true, bubbles: true, detail: null };
    bar.dispatchEvent(new CustomEvent('mediapreviewrequest', nothing));
  };
  const pressed = (event: KeyboardEvent): void => {
    by_key ||= KEYS.has(event.key);
  };
  const moved = (): void => {
    if (!by_key) return;
    point(bar);
    shown(true);
    clearTimeout(timer);
    timer = setTimeout(hide, LINGER_MS);
  };
  const pointed = (event: PointerEvent): void => {
    if (event.isTrusted && event.pointerType === 'mouse') shown(true);
  };
  const left = (): void => shown(false);
  bar.addEventListener('pointermove', pointed);
  bar.addEventListener('pointerleave', left);
  // The keys are heard before the slider moves, and the move before the key is let go.
  bar.addEventListener('keydown', pressed, { capture: true });
  bar.addEventListener('input', moved);
  bar.addEventListener('focusout', hide);
  bar.addEventListener('pointerdown', hide);
  return () => {
    hide();
    bar.removeEventListener('pointermove', pointed);
    bar.removeEventListener('pointerleave', left);
    bar.removeEventListener('keydown', pressed, { capture: true });
    bar.removeEventListener('input', moved);
    bar.removeEventListener('focusout', hide);
    bar.removeEventListener('pointerdown', hide);
  };
}

/** Lets the bar believe that somebody points at its thumb: it places the picture there and asks for it. */
function point(bar: HTMLElement): void {
  const slider = bar.shadowRoot?.querySelector<HTMLInputElement>('input[type=range]');
  if (!slider) return;
  const { left, top, width, height } = slider.getBoundingClientRect();
  const place = { clientX: left + width * slider.valueAsNumber, clientY: top + height / 2 };
  // It listens on the window, and only while a pointer is inside.
  const listener = bar as unknown as EventListenerObject;
  window.addEventListener('pointermove', listener, { once: true });
  bar.dispatchEvent(
    new PointerEvent('pointermove', { ...place, pointerType: 'mouse', bubbles: true, composed: true }),
  );
}

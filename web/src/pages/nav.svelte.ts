// The address of the page, and moving between pages without loading them anew.
import { routeOf } from './route.ts';

class Nav {
  path = $state(location.pathname);

  go(path: string): void {
    history.pushState(null, '', path);
    this.path = location.pathname;
    scrollTo(0, 0);
    // A screen reader goes on at the new page's beginning.
    document.getElementById('main')?.focus({ preventScroll: true });
  }

  moved = (): void => {
    this.path = location.pathname;
  };

  /** Follows a link to one of our pages; everything else is left to the browser. */
  clicked = (event: MouseEvent): void => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey)
      return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target || link.download || link.origin !== location.origin) return;
    if (link.pathname === location.pathname && link.hash) return;
    if (routeOf(link.pathname).page === 'not-found') return;
    event.preventDefault();
    this.go(link.pathname + link.search + link.hash);
  };
}

export const nav = new Nav();

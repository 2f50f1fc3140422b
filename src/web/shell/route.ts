// The view of an address, and navigation between views without loading a document.
import { createStore } from './store.ts';

export type Route =
  | { readonly view: 'home' }
  | { readonly view: 'run' | 'device' | 'play'; readonly run: string }
  | { readonly view: 'ledger'; readonly event: number | null }
  | { readonly view: 'start' | 'devices' | 'pool' | 'keys' }
  | { readonly view: 'unknown' };

const RUN = /^\/r\/([0-9a-f]{64})(?:\/(device|play))?$/;
const PLAIN = /^\/(start|devices|pool|keys)$/;
const EVENT = /^\/ledger\/(\d{1,15})$/;

export function routeOf(path: string): Route {
  if (path === '/') return { view: 'home' };
  const plain = PLAIN.exec(path)?.[1];
  if (plain) return { view: plain as 'start' | 'devices' | 'pool' | 'keys' };
  if (path === '/ledger') return { view: 'ledger', event: null };
  const event = EVENT.exec(path)?.[1];
  if (event) return { view: 'ledger', event: Number(event) };
  const run = RUN.exec(path);
  if (run) return { view: (run[2] ?? 'run') as 'run' | 'device' | 'play', run: run[1] };
  return { view: 'unknown' };
}

export function pathOf(route: Exclude<Route, { view: 'unknown' }>): string {
  switch (route.view) {
    case 'home':
      return '/';
    case 'run':
      return `/r/${route.run}`;
    case 'device':
    case 'play':
      return `/r/${route.run}/${route.view}`;
    case 'ledger':
      return route.event === null ? '/ledger' : `/ledger/${route.event}`;
    case 'start':
    case 'devices':
    case 'pool':
    case 'keys':
      return `/${route.view}`;
  }
}

/** The current route. */
export const route = createStore<Route>(routeOf(location.pathname));

addEventListener('popstate', () => route.set(routeOf(location.pathname)));

/** Navigates to another view. */
export function goTo(next: Exclude<Route, { view: 'unknown' }>): void {
  const path = pathOf(next);
  if (path !== location.pathname) history.pushState(null, '', path);
  route.set(next);
  scrollTo(0, 0); // for Back and Forward the browser restores the position
}

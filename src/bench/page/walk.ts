// Follows every link from every view to every other view and back, on the built page in a real browser, and reports views that do not appear.
import type { Browser, Page } from 'playwright-core';
import type { PageNetwork } from './network.ts';

/** The views by the form of their addresses, with their headings. */
const VIEWS: readonly { readonly view: string; readonly path: RegExp; readonly says: RegExp }[] = [
  { view: 'home', path: /^\/$/, says: /\S/ },
  { view: 'run', path: /^\/r\/[0-9a-f]{64}$/, says: /\S/ },
  { view: 'device', path: /^\/r\/[0-9a-f]{64}\/device$/, says: /My device/ },
  { view: 'play', path: /^\/r\/[0-9a-f]{64}\/play$/, says: /Play|write/i },
  { view: 'devices', path: /^\/devices$/, says: /Your devices/ },
  { view: 'ledger', path: /^\/ledger$/, says: /Ledger/ },
  { view: 'event', path: /^\/ledger\/\d+$/, says: /Ledger|Event/ },
  { view: 'start', path: /^\/start$/, says: /Start a run/ },
  { view: 'nowhere', path: /^\/nowhere$/, says: /nothing at this address/ },
];

/** Long enough for a view that appears late because ten programs share a core. */
const PATIENCE_MS = 60_000;
/** How often a view is looked at that changes nothing of itself, in milliseconds: whatever changes is looked at then. */
const LOOK_MS = 250;
/** A walk ends after so many failures. */
const MOST_DEAD = 3;

export interface Walk {
  /** The number of navigations: a link, or the browser's Back from one. */
  readonly ways: number;
  /** Navigations to a view that does not appear, or that does not offer to stop the tab's work. */
  readonly dead: readonly string[];
}

/** A walk before and one while the tab contributes, with the errors that the page threw. */
export async function measureWalk(
  network: PageNetwork,
  browser: Browser,
): Promise<(Walk & { readonly working: boolean; readonly errors: number })[]> {
  const run = await network.createRun('walk', { rounds: 3, round_seconds: 600, steps: 100_000, min_workers: 1 });
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    let errors = 0;
    page.on('pageerror', () => {
      errors++;
    });
    await page.goto(`${network.url}/r/${run}/device`);
    const walks = [];
    for (const working of [false, true]) {
      errors = 0;
      if (working) {
        await show(page, `/r/${run}/device`);
        await page.getByRole('button', { name: 'Contribute from this tab' }).click();
      }
      walks.push({ working, ...(await walkViews(page, run, working)), errors });
    }
    return walks;
  } finally {
    await context.close();
  }
}

/**
 * Walks an open page without loading it again.
 * @param working whether the tab contributes: then each view must offer to stop it
 * @param every whether every link of every view is followed; otherwise each view is shown, and of the links that are in the same place and lead to the
 * same kind of view one is followed
 */
export async function walkViews(page: Page, run: string, working: boolean, every = true): Promise<Walk> {
  const starts = [
    '/',
    `/r/${run}`,
    `/r/${run}/device`,
    `/r/${run}/play`,
    '/ledger',
    '/ledger/1',
    '/start',
    '/devices',
    '/nowhere',
  ];
  let ways = 0;
  const dead: string[] = [];
  const pressed = new Set<string>();
  const followed = new Set<string>();
  /** Views all of whose links are followed, or that do not appear. */
  const done = new Set<string>();
  const arrived = async (path: string, way: string): Promise<boolean> => {
    ways++;
    if (await shows(page, path, working)) return true;
    dead.push(way);
    await page.reload(); // the rest of the walk must not suffer from it
    return false;
  };
  /** Where it stands; null: at a view that is no start, or did not appear. */
  let at: string | null = null;
  while (dead.length < MOST_DEAD) {
    const from: string | undefined = at ?? starts.find((path) => !done.has(path));
    if (from === undefined) break;
    if (at === null) {
      await show(page, from);
      if (await arrived(from, `to ${nameOf(from)} by Back or Forward`)) at = from;
      else done.add(from);
      continue;
    }
    const link = (await linksOf(page)).find(
      ({ key }) => !followed.has(`${from} ${key}`) && (every || !pressed.has(key)),
    );
    if (!link) {
      done.add(from);
      at = null;
      continue;
    }
    const { path, selector, key } = link;
    const way = `${nameOf(from)} → ${nameOf(path)}`;
    // With the mouse, and back, once in each place: that costs several times as much as the rest of the way.
    const known = pressed.has(key);
    const a = page.locator(selector).first();
    await (known ? a.evaluate((element: HTMLElement) => element.click()) : a.click());
    pressed.add(key);
    followed.add(`${from} ${key}`);
    at = (await arrived(path, way)) && starts.includes(path) ? path : null;
    if (at === null || known || path === from) continue;
    await page.evaluate(() => history.back());
    at = (await arrived(from, `${way}, and back`)) ? from : null;
  }
  return { ways, dead };
}

const nameOf = (path: string): string => VIEWS.find((one) => one.path.test(path))?.view ?? path;

/** Goes to an address as Back and Forward do: with a popstate event. */
async function show(page: Page, path: string): Promise<void> {
  await page.evaluate((to) => {
    history.pushState(null, '', to);
    dispatchEvent(new PopStateEvent('popstate'));
  }, path);
}

/** Whether the view at an address appears with its heading. */
async function shows(page: Page, path: string, working: boolean): Promise<boolean> {
  const { says } = VIEWS.find((one) => one.path.test(path))!;
  try {
    return await page.evaluate(
      ({ path, says, working, patience_ms, look_ms }) => {
        const isShown = (): boolean => {
          const head = document.querySelector('main h1')?.textContent ?? '';
          const stops = [...document.querySelectorAll('button')].some(({ textContent }) => /^Stop$/.test(textContent));
          const right = new RegExp(says, 'i').test(head) && !/failed/.test(head);
          return location.pathname === path && right && (stops || !working) && !document.querySelector('main .loading');
        };
        return new Promise<boolean>((resolve) => {
          const look = (late = false): void => {
            if (!isShown() && !late) return;
            observer.disconnect();
            clearInterval(again);
            clearTimeout(end);
            resolve(isShown());
          };
          const observer = new MutationObserver(() => look());
          const again = setInterval(look, look_ms);
          const end = setTimeout(look, patience_ms, true);
          observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
          look();
        });
      },
      { path, says: says.source, working, patience_ms: PATIENCE_MS, look_ms: LOOK_MS },
    );
  } catch {
    return false; // the page went away under it
  }
}

/** The links of a view: one of each place on the page to each kind of view. */
function linksOf(page: Page): Promise<{ path: string; selector: string; key: string }[]> {
  return page.evaluate(
    (views) => {
      const found = new Map<string, { path: string; selector: string; key: string }>();
      for (const link of document.querySelectorAll<HTMLAnchorElement>('#app a[href]')) {
        const { pathname: path, origin } = new URL(link.href);
        const kind = views.find(({ source }) => new RegExp(source).test(path));
        if (origin !== location.origin || !kind || link.target || link.hash || !link.offsetParent) continue;
        const place = link.closest('nav, header, aside, main')!.tagName.toLowerCase();
        const selector = `${place} a[href="${link.getAttribute('href')}"]`;
        const key = `${place} ${kind.view}`;
        if (!found.has(key)) found.set(key, { path, selector, key });
      }
      return [...found.values()];
    },
    VIEWS.map(({ view, path }) => ({ view, source: path.source })),
  );
}

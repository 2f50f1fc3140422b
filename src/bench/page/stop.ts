// How soon a tab stops: the time from the press to the word "Stopped", after which nothing computes, at every stage of its work, the words
// in between, and the time until its work is submitted.
import type { Browser, Page } from 'playwright-core';
import type { PageNetwork } from './network.ts';
import { type WatchingProxy, watchingProxy } from './proxy.ts';

export interface Stopped {
  readonly pressed_while: 'waiting' | 'catching up' | 'training' | 'stopping';
  /** Until the tab says that nothing computes any more. */
  readonly took_ms: number;
  /** Until its work is submitted too, and everything is freed. */
  readonly ended_ms: number;
  /** The duration of the tab's steps, by its own display; 0 if it did not train. */
  readonly step_ms: number;
  /** Everything that it displayed since the press. */
  readonly said: readonly string[];
}

const PATIENCE_MS = 120_000;
/** More steps than a round has time for. */
const LONG = { rounds: 3, round_seconds: 600, steps: 100_000 };

/** Stops a tab while it waits, catches up, trains, and, with a second press, while it submits. */
export async function measureStop(network: PageNetwork, browser: Browser): Promise<Stopped[]> {
  const proxy = await watchingProxy(network.url);
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  try {
    const waits = await network.createRun('nobody else comes', { ...LONG, min_workers: 2 });
    const trains = await network.createRun('stop', { ...LONG, min_workers: 1 });
    const stops: Stopped[] = [];
    const open = async (run: string) => {
      await page.goto(`${proxy.url}/r/${run}/device`);
      await page.getByRole('button', { name: 'Contribute from this tab' }).click();
    };
    // This is the first one, because the tab's cache is still empty.
    stops.push({
      pressed_while: 'catching up',
      step_ms: 0,
      ...(await stopWhileCatchingUp(page, proxy, () => open(trains))),
    });

    await open(waits);
    await says(page, /^Waiting/);
    stops.push({ pressed_while: 'waiting', step_ms: 0, ...(await pressStop(page)) });

    await open(trains);
    const step_ms = await stepOf(page);
    stops.push({ pressed_while: 'training', step_ms, ...(await pressStop(page)) });

    await open(trains);
    await stepOf(page);
    stops.push({ pressed_while: 'stopping', step_ms: 0, ...(await stopTwice(page, proxy)) });
    return stops;
  } finally {
    await context.close();
    proxy.close();
  }
}

/** Stops a tab whose download of the model hangs. */
export async function stopWhileCatchingUp(
  page: Page,
  proxy: WatchingProxy,
  begin: () => Promise<void>,
): Promise<Press> {
  const settings: string[] = [];
  // The first blob that a tab requests contains the run's settings; only later blobs are delayed.
  const release = proxy.hold((method, path) => {
    const late = method === 'GET' && path.startsWith('/blobs/') && settings.length > 0 && !settings.includes(path);
    if (method === 'GET' && path.startsWith('/blobs/') && settings.length === 0) settings.push(path);
    return late;
  });
  try {
    await begin();
    await says(page, /^Catching up/);
    return await pressStop(page);
  } finally {
    release();
  }
}

/** Stops a tab that trains and cannot submit its work, and presses again. */
export async function stopTwice(page: Page, proxy: WatchingProxy): Promise<Press> {
  const release = proxy.hold((method) => method === 'PUT');
  try {
    await says(page, /^Working · [1-9]/); // without a step there is nothing to submit, and it stops at the first press
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await says(page, /^Stopp/);
    return await pressStop(page, 'Drop it and stop now');
  } finally {
    release();
  }
}

export type Press = Pick<Stopped, 'took_ms' | 'ended_ms' | 'said'>;

/** Presses the button, and resolves when the tab says that it has stopped and sends nothing any more. */
export function pressStop(page: Page, button = 'Stop'): Promise<Press> {
  return page.evaluate(
    (name) =>
      new Promise<{ took_ms: number; ended_ms: number; said: string[] }>((resolve) => {
        let took_ms = 0;
        const said: string[] = [];
        const from_ms = performance.now();
        const look = (): void => {
          const text = document.querySelector('.work-state')?.textContent?.trim() ?? '';
          if (text !== said.at(-1)) said.push(text);
          if (!/^Stopped/.test(text)) return;
          took_ms ||= performance.now() - from_ms;
          if (/sending/.test(text)) return;
          observer.disconnect();
          resolve({ took_ms, ended_ms: performance.now() - from_ms, said });
        };
        const observer = new MutationObserver(look);
        observer.observe(document.body, { subtree: true, childList: true, characterData: true });
        [...document.querySelectorAll('button')].find(({ textContent }) => textContent === name)!.click();
      }),
    button,
  );
}

/** Resolves when the tab displays these words. */
export const says = (page: Page, words: RegExp): Promise<void> =>
  page.locator('.work-state [role=status]', { hasText: words }).waitFor();

/** How long a step takes once the tab trains, over a few of them. */
async function stepOf(page: Page): Promise<number> {
  await says(page, /^Working · [1-9]/);
  return page.evaluate(async () => {
    const steps = (): number =>
      Number.parseInt(
        document.querySelector('dt + dd:has(small)')?.closest('dl')?.children[1]?.textContent?.replace(/\D*/, '') ??
          '0',
        10,
      );
    const from = { steps: steps(), ms: performance.now() };
    while (steps() < from.steps + 3) await new Promise((resolve) => setTimeout(resolve, 20));
    return (performance.now() - from.ms) / (steps() - from.steps);
  });
}

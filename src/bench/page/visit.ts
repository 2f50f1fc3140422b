// From opening the link to the first accepted contribution: a person's way, with an empty browser, and where the time goes.
import type { Browser, Page } from 'playwright-core';
import { median } from '../report.ts';
import { INNER_STEPS, type PageNetwork } from './network.ts';

/** Nothing here takes as long, on whatever machine. */
const VISIT_MS = 300_000;

/** Seconds after the link was opened at which something had been reached, by name, in the order in which it happens. */
export type Timeline = ReadonlyMap<string, number>;

export interface Visit {
  readonly timeline: Timeline;
  /** What the tab says that it computes on: a busy machine gets one thread. */
  readonly computes_on: string;
}

/** What the tab calls its phases, in the words of the report; the first time of each counts. */
const PHASES: Readonly<Record<string, string>> = {
  connecting: 'its code runs, its keys are there',
  loading: 'it knows the run',
  runtime: 'runtime chosen',
  waiting: 'in the run',
  training: 'first step trained (model, runtime and graph loaded)',
  sending: `${INNER_STEPS} steps trained`,
};

/**
 * Visits a run of config (a), whose validator is there and whose first round waits for one worker: the link, one button, everything
 * fetched, a round of 30 steps, the hub's receipt, the validator's verdict.
 */
export async function measureVisit(network: PageNetwork, browser: Browser, visit: number): Promise<Visit> {
  const settings = { rounds: 3, round_seconds: 60, steps: INNER_STEPS, min_workers: 1 };
  const run = await network.createRun(`visit ${visit}`, settings);
  const validator = network.join(run, 'validator', '--role', 'validator', '--threads', '2'); // both cores: the tab is idle by then
  // It has measured the first model, and written a little with it: from here on it idles, as one that has been there for a while does.
  await network.until(
    run,
    ({ validation_loss, peers }) =>
      validation_loss !== null && peers.every(({ progress }) => progress?.state === 'waiting'),
  );
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(VISIT_MS);
    const timeline = new Map<string, number>();
    const opened_ms = performance.timeOrigin + performance.now();
    const note = (what: string): void => {
      timeline.set(what, (performance.timeOrigin + performance.now() - opened_ms) / 1000);
    };
    await page.goto(`${network.url}/r/${run}/device`);
    note('page loaded');
    await page.getByRole('button', { name: 'Contribute from this tab' }).click();
    note('button pressed');
    await handedIn(page).waitFor();
    note('taken: receipt of the hub');
    await page.getByText('Accepted by 1 of 1 validator').first().waitFor();
    note('accepted: verdict of the validator');
    for (const { phase, at_ms } of await marksOf(page)) {
      if (phase in PHASES) timeline.set(PHASES[phase], (at_ms - opened_ms) / 1000);
    }
    const says = (await page.locator('.work .fine', { hasText: 'Computes on' }).first().textContent()) ?? '';
    const computes_on = says.replace(/^Computes on (.*?): .*$/, '$1');
    return { timeline: new Map([...timeline].sort(([, a], [, b]) => a - b)), computes_on };
  } finally {
    await context.close();
    await validator.stop();
  }
}

/** On the page of a device: how much it has handed in, once that is something. */
export const handedIn = (page: Page) => page.locator('dt:text-is("Handed in") + dd', { hasText: /^[1-9]/ });

/** When the tab's Worker came to each of its phases first, by the clock of this machine. */
async function marksOf(page: Page): Promise<{ phase: string; at_ms: number }[]> {
  // The Workers of its runtime block while they compute, and would not answer.
  const tab = page.workers().find((worker) => /\/worker-[^/]*$/.test(worker.url()))!;
  const marks = await tab.evaluate(() =>
    performance
      .getEntriesByType('mark')
      .map(({ name, startTime }) => ({ phase: name, at_ms: performance.timeOrigin + startTime })),
  );
  return marks.filter(({ phase }, i) => marks.findIndex((other) => other.phase === phase) === i);
}

/** The median of what was reached when, over some visits. */
export function medianTimeline(visits: readonly Timeline[]): Timeline {
  return new Map(
    [...visits[0].keys()].map((what) => [what, median(visits.map((visit) => visit.get(what) ?? Number.NaN))]),
  );
}

// From opening the link to the first accepted contribution: a person's way, with an empty browser, and where the time goes.
import type { Browser, Page } from 'playwright-core';
import type { Child } from '../../cli/children.ts';
import { median } from '../../training/statistics.ts';
import { WORKLOADS } from '../compute-workload.ts';
import { INNER_STEPS, type PageNetwork } from './network.ts';

/** Longer than any step here takes on any machine. */
const VISIT_MS = 300_000;

/** The seconds from opening the link to each stage, in the order of the stages. */
export type Timeline = ReadonlyMap<string, number>;

export interface Visit {
  readonly timeline: Timeline;
  /** What the tab computes on, by its own display: on a busy machine one thread. */
  readonly computes_on: string;
  /** The steps of that work: the first work of a device is short. */
  readonly steps: number;
}

/** The tab's phases with their words in the report; the first time of each counts. */
const PHASES: Readonly<Record<string, string>> = {
  connecting: 'its code runs, its keys are there',
  loading: 'it knows the run',
  runtime: 'runtime chosen',
  'catching-up': 'in the run',
  training: 'first step trained (model, runtime and graph loaded)',
  sending: 'its first work trained',
};

/**
 * Visits a run of config (a), whose validator is there and whose first round waits for one worker: the link, one button, everything
 * fetched, its first work, the hub's receipt, the validator's verdict.
 */
const SETTINGS = { rounds: 3, round_seconds: 60, steps: INNER_STEPS, min_workers: 1 };

export async function measureVisit(network: PageNetwork, browser: Browser, visit: number): Promise<Visit> {
  const run = await network.createRun(`visit ${visit}`, SETTINGS);
  const validator = await idleValidator(network, run);
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
    const steps = await firstSteps(network, run);
    return { timeline: new Map([...timeline].sort(([, a], [, b]) => a - b)), computes_on, steps };
  } finally {
    await context.close();
    await validator.stop();
  }
}

/** The same by the command: seconds from its start to its first work being merged, a moment after it was accepted; and its steps. */
export async function measureCommand(
  network: PageNetwork,
  visit: number,
): Promise<{ readonly seconds: number; readonly steps: number }> {
  const run = await network.createRun(`command ${visit}`, SETTINGS);
  const validator = await idleValidator(network, run);
  const started_ms = performance.now();
  const worker = network.join(run, 'worker');
  try {
    const steps = await firstSteps(network, run);
    return { seconds: (performance.now() - started_ms) / 1000, steps };
  } finally {
    await worker.stop();
    await validator.stop();
  }
}

/** Starts a validator and waits until it has measured the first model and written a sample, so that it is idle, as after a while in a run. */
async function idleValidator(network: PageNetwork, run: string): Promise<Child> {
  const validator = network.join(run, 'validator', '--role', 'validator', '--threads', '2'); // both cores: the worker is idle by then
  await network.until(
    run,
    ({ metrics, peers }) => metrics[0].last !== null && peers.every(({ progress }) => progress?.state === 'waiting'),
  );
  return validator;
}

/** The steps of the first work that is merged. */
async function firstSteps(network: PageNetwork, run: string): Promise<number> {
  const { merged_amount } = await network.until(run, (status) => status.merged_amount > 0);
  return merged_amount / (WORKLOADS.small.batch * WORKLOADS.small.context);
}

/** On the page of a device: the number of its submissions, once it is not 0. */
export const handedIn = (page: Page) => page.locator('dt:text-is("Handed in") + dd', { hasText: /^[1-9]/ });

/** When the tab's Worker first reached each of its phases, by the clock of this machine. */
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

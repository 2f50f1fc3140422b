// A tab that is killed in the middle of a round: its earlier submissions are credited, the round goes on, nothing else is lost.
import type { Browser, Page } from 'playwright-core';
import type { RunStatus } from '../../protocol/messages.ts';
import { INNER_STEPS, type PageNetwork } from './network.ts';
import { handedIn } from './visit.ts';

export interface Killed {
  /** Submissions of the tab before it was killed, and those that the log credits at the end. */
  readonly handed_in: number;
  readonly credited: number;
  /** Tokens of the same. */
  readonly handed_in_tokens: number;
  readonly credited_tokens: number;
  readonly refused: number;
  /** The lost steps of the round in which it died. */
  readonly steps_lost: number;
  /** The round in which it died, and whether it was merged without the tab. */
  readonly round: number;
  readonly merged_without_it: boolean;
  /** Whether the other worker lost anything. */
  readonly other_refused: number;
  readonly finished: boolean;
}

const ROUNDS = 4;
/** The round in which the tab dies, after two submissions. */
const LAST_ROUND = 2;
/** The least number of steps that it has done in that round. */
const BEGUN_STEPS = 5;
const TAB = 'a tab that dies';
const OTHER = 'a worker that stays';
const PATIENCE_MS = 300_000;

/** A tab and a Node worker with a validator; the tab's process gets no chance to say goodbye. */
export async function measureKill(network: PageNetwork, browser: Browser): Promise<Killed> {
  const settings = { rounds: ROUNDS, round_seconds: 120, steps: INNER_STEPS, min_workers: 2 };
  const run = await network.createRun('a tab is killed', settings);
  network.join(run, 'validator', '--role', 'validator');
  network.join(run, OTHER);
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await contribute(page, `${network.url}/r/${run}`, TAB);
  const before = await network.until(run, (status) => {
    const progress = tabOf(status)?.progress;
    return progress?.state === 'working' && progress.round === LAST_ROUND && progress.numbers.steps >= BEGUN_STEPS;
  });
  const handed_in = await handedIn(page).evaluate(({ firstChild }) => Number(firstChild!.textContent));
  await crash(page);
  const after = await network.until(
    run,
    ({ phase, evaluated_rounds }) => phase === 'finished' && evaluated_rounds === ROUNDS,
  );
  await context.close();
  const [tab, other] = [tabOf(after)!, after.peers.find(({ name }) => name === OTHER)!];
  const step_tokens = other.credit_amount / (other.merged_submissions * INNER_STEPS);
  return {
    handed_in,
    credited: tab.merged_submissions,
    handed_in_tokens: handed_in * INNER_STEPS * step_tokens,
    credited_tokens: tab.credit_amount,
    refused: tab.refused_submissions,
    steps_lost: tabOf(before)!.progress!.numbers.steps,
    round: LAST_ROUND,
    merged_without_it: other.merged_submissions === ROUNDS,
    other_refused: other.refused_submissions,
    finished: after.phase === 'finished' && after.round === ROUNDS,
  };
}

const tabOf = ({ peers }: RunStatus) => peers.find(({ name }) => name === TAB);

/** Opens a run's page and presses the button, under a name. */
export async function contribute(page: Page, address: string, name: string): Promise<void> {
  await page.goto(`${address}/device`);
  await page.getByLabel('Name of this device').fill(name);
  await page.getByRole('button', { name: 'Contribute from this tab' }).click();
}

/** Kills the tab's process, as a system without free memory does. */
async function crash(page: Page): Promise<void> {
  const crashed = page.waitForEvent('crash');
  page.goto('chrome://crash').catch(() => {}); // it never arrives
  await crashed;
}

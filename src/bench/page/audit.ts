// The duration of "Audit everything" in a visitor's browser, on the log of the other measurements plus a short run.
import type { Browser } from 'playwright-core';
import { INNER_STEPS, type PageNetwork } from './network.ts';

export interface Audited {
  readonly events: number;
  readonly events_per_second: number;
  /** Everything, without the models and with them. */
  readonly seconds: number;
  readonly with_models_seconds: number;
  readonly models: number;
}

const ROUNDS = 12;
const PATIENCE_MS = 600_000;
/** The page's sentence after an audit without failures. */
const VERDICT =
  /All of it is true\. ([\d,]+) events.*?(?:([\d,]+) model versions.*)?Checked by this browser in ([\d.]+) s \(([\d,]+) events a second(?:, \d+ threads)?\)/;

/** Adds a run of a few rounds to the log and audits it twice. */
export async function measureAudit(network: PageNetwork, browser: Browser): Promise<Audited> {
  const settings = { rounds: ROUNDS, round_seconds: 120, steps: Math.ceil(INNER_STEPS / 10), min_workers: 2 };
  const run = await network.createRun('to be audited', settings);
  network.join(run, 'validator', '--role', 'validator');
  for (const name of ['ada', 'bob']) network.join(run, name);
  await network.until(run, ({ phase, evaluated_rounds }) => phase === 'finished' && evaluated_rounds === ROUNDS);
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${network.url}/ledger`);
    const audit = async (button: string) => {
      await page.getByRole('button', { name: button }).click();
      await page.locator('.audit progress').waitFor({ state: 'attached' });
      const verdict = (await page.locator('.audit .verdict').textContent()) ?? '';
      const [, events, models, seconds, rate] = VERDICT.exec(verdict) ?? [];
      if (seconds === undefined) throw new Error(`the audit in the page says: ${verdict}`);
      const [count, versions, each_s] = [events, models ?? '0', rate].map((text) => Number(text.replaceAll(',', '')));
      return { events: count, models: versions, seconds: Number(seconds), events_per_second: each_s };
    };
    const without = await audit('Without the models');
    const { models, seconds } = await audit('Audit again');
    return { ...without, models, with_models_seconds: seconds };
  } finally {
    await context.close();
  }
}

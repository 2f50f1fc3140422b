// A browser's tab as a worker: how soon after opening the link its first work is taken, and its WASM training against the same in Node.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { byteTokenizer } from '../model/tokenizer.ts';
import { createRun } from '../peer/owner.ts';
import { trainingFor } from '../peer/run-settings.ts';
import { createIdentity } from '../protocol/identity.ts';
import { defaultCorpus } from '../training/corpus-default.ts';
import { CHROMIUM, launch, NO_GPU, servePageOf } from './chromium.ts';
import { EngineProcess } from './compute-child.ts';
import { WORKLOADS } from './compute-workload.ts';
import { BenchError } from './errors.ts';
import { median, spread, table, writeJson } from './report.ts';
import type { page as tabPage } from './tab-page/main.ts';

const USAGE = `npm run bench tab [-- --threads N] [--rounds N] [--visits N] [--json FILE]
  --threads N  of WASM, in the tab and in Node (default: 2)
  --rounds N   interleaved rounds of ten training steps each (default: 8)
  --visits N   visits with an empty browser, to the first work that the hub has taken (default: 3)
  --json FILE  the figures as JSON`;
const STEPS_A_ROUND = 10;
/** Inner steps of a round in the run that is visited: the default of `potluck run create`. */
const INNER_STEPS = 30;
const WEB = join(import.meta.dirname, '..', 'web');
const VISIT_MS = 120_000;

type Scope = typeof globalThis & { readonly bench: typeof tabPage };

export interface TabSpeed {
  readonly threads: number;
  readonly tab_ms: number;
  readonly node_ms: number;
  /** Steps of the tab for each step of Node: the median over rounds, and half the distance of its quartiles. */
  readonly ratio: number;
  readonly spread: number;
  /** The same bits: WASM is the referee. */
  readonly same_loss: boolean;
}

/** Config (a) of `bench compute`, trained in a tab and in Node, both on ONNX Runtime's WASM, taking turns. */
export async function measureTraining(threads: number, rounds: number): Promise<TabSpeed> {
  const server = await servePageOf(join(import.meta.dirname, 'tab-page'));
  const browser = await launch(NO_GPU);
  const script = join(import.meta.dirname, 'compute-engine.ts');
  const args = [script, '--engine', 'wasm', '--size', 'small', '--threads', String(threads)];
  const node = await EngineProcess.start('wasm in Node', process.execPath, args);
  try {
    const page = await browser.newPage();
    await page.goto(`${server.hub.url}/start`);
    await page.evaluate((threads) => (globalThis as Scope).bench.prepare(threads), threads);
    const inTab = (count: number) => page.evaluate((count) => (globalThis as Scope).bench.steps(count), count);
    const measured: { tab_ms: number; node_ms: number; same: boolean }[] = [];
    for (let round = -1; round < rounds; round++) {
      const [tab, inNode] = [await inTab(STEPS_A_ROUND), await node.run(STEPS_A_ROUND)];
      const same = tab.loss === inNode.loss;
      // The first round only warms up.
      if (round >= 0) measured.push({ tab_ms: median(tab.times_ms), node_ms: median(inNode.times_ms), same });
    }
    const ratios = measured.map(({ tab_ms, node_ms }) => node_ms / tab_ms);
    return {
      threads,
      tab_ms: median(measured.map(({ tab_ms }) => tab_ms)),
      node_ms: median(measured.map(({ node_ms }) => node_ms)),
      ratio: median(ratios),
      spread: spread(ratios),
      same_loss: measured.every(({ same }) => same),
    };
  } finally {
    await node.end();
    await browser.close();
    await server.close();
  }
}

/**
 * Seconds from opening the link to a run of config (a) to the moment that the hub has taken the first work of a round of 30 steps,
 * for each of some visits with an empty browser. A person's way: the page, one button, everything fetched.
 */
export async function measureFirstWork(visits: number): Promise<number[]> {
  const server = await servePageOf(WEB);
  const { url } = server.hub;
  const browser = await launch(NO_GPU);
  try {
    const { vocab: _, layers, heads, width, feed_forward, context, batch } = WORKLOADS.small;
    const seconds: number[] = [];
    for (let visit = 0; visit < visits; visit++) {
      const name = `visit ${visit}`;
      const run = await createRun(url, createIdentity(), join(server.folder, 'owner'), {
        name,
        texts: defaultCorpus(),
        tokenizer: byteTokenizer(),
        model: {
          hidden_size: width,
          intermediate_size: feed_forward,
          num_hidden_layers: layers,
          num_attention_heads: heads,
          max_position_embeddings: context,
        },
        seed: 'bench',
        ...trainingFor({
          rounds: 2,
          round_seconds: 60,
          steps: INNER_STEPS,
          batch,
          context,
          learning_rate: 1e-3,
          min_workers: 1,
        }),
      });
      const context_ = await browser.newContext();
      const page = await context_.newPage();
      page.setDefaultTimeout(VISIT_MS);
      const opened_ms = performance.now();
      await page.goto(`${url}/r/${run}/device`);
      await page.getByRole('button', { name: 'Contribute from this tab' }).click();
      await page.locator('dt:text-is("Handed in") + dd', { hasText: /^[1-9]/ }).waitFor();
      seconds.push((performance.now() - opened_ms) / 1000);
      await context_.close();
    }
    return seconds;
  } finally {
    await browser.close();
    await server.close();
  }
}

export async function run(args: string[]): Promise<void> {
  const options = {
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '8' },
    visits: { type: 'string', default: '3' },
    json: { type: 'string' },
    help: { type: 'boolean' },
  } as const;
  let values: { threads: string; rounds: string; visits: string; json?: string; help?: boolean };
  try {
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    throw new BenchError('usage', `${(error as Error).message}\n${USAGE}`);
  }
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const [threads, rounds, visits] = [values.threads, values.rounds, values.visits].map(Number);
  if (![threads, rounds, visits].every((value) => Number.isInteger(value) && value >= 1 && value <= 1000)) {
    throw new BenchError('usage', `expected whole numbers from 1 to 1000\n${USAGE}`);
  }
  if (!CHROMIUM) throw new BenchError('usage', 'this bench needs Chromium: install the package "chromium"');
  const seconds = await measureFirstWork(visits);
  const speed = await measureTraining(threads, rounds);
  const { tab_ms, node_ms, ratio } = speed;
  const rows = [
    ['opening the link to the first work taken', `${median(seconds).toFixed(1)} s`, '≤ 10 s'],
    [`a training step in the tab, ${threads} threads`, `${tab_ms.toFixed(1)} ms`, ''],
    ['the same in Node', `${node_ms.toFixed(1)} ms`, ''],
    ['speed of the tab against Node', `${ratio.toFixed(2)} ± ${speed.spread.toFixed(2)}`, '≥ 0.9'],
    ['the same bits', speed.same_loss ? 'yes' : 'NO', 'yes'],
  ];
  console.log(table(['config (a) of bench compute, headless Chromium without a GPU', 'measured', 'target'], rows));
  if (values.json) writeJson(values.json, { first_work_s: seconds, training: speed });
}

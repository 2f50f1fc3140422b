// WASM in a tab against WASM in Node: config (a) of `bench compute`, the same steps, taking turns.
import { join } from 'node:path';
import { median } from '../../training/statistics.ts';
import { servePageOf } from '../built-page.ts';
import { launch, NO_GPU } from '../chromium.ts';
import { EngineProcess } from '../compute-child.ts';
import { spread } from '../report.ts';
import type { page as tabPage } from '../tab-page/main.ts';

const BENCH = join(import.meta.dirname, '..');
const STEPS_A_ROUND = 10;

type Scope = typeof globalThis & { readonly bench: typeof tabPage };

export interface TabSpeed {
  readonly threads: number;
  readonly tab_ms: number;
  readonly node_ms: number;
  /** Steps of the tab for each step of Node: the median over rounds, and half the distance of its quartiles. */
  readonly ratio: number;
  readonly spread: number;
  /** Whether both give the same bits. */
  readonly same_loss: boolean;
}

/** Measures so many rounds of ten steps each, after one that only warms up. */
export async function measureTraining(threads: number, rounds: number): Promise<TabSpeed> {
  const server = await servePageOf(join(BENCH, 'tab-page'));
  const browser = await launch(NO_GPU);
  const args = ['--engine', 'wasm', '--size', 'small', '--threads', String(threads)];
  const node = await EngineProcess.start('wasm in Node', process.execPath, [join(BENCH, 'compute-engine.ts'), ...args]);
  try {
    const page = await browser.newPage();
    await page.goto(`${server.hub.url}/start`);
    await page.evaluate((threads) => (globalThis as Scope).bench.prepare(threads), threads);
    const inTab = (count: number) => page.evaluate((count) => (globalThis as Scope).bench.steps(count), count);
    const measured: { tab_ms: number; node_ms: number; same: boolean }[] = [];
    for (let round = -1; round < rounds; round++) {
      const [tab, inNode] = [await inTab(STEPS_A_ROUND), await node.run(STEPS_A_ROUND)];
      const same = tab.loss === inNode.loss;
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

// What a visitor downloads before contributing, whether code that computes is downloaded only with consent, and what the second visit takes from the cache.
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { CHROMIUM, NO_GPU } from '../chromium.ts';
import { INNER_STEPS, type PageNetwork } from './network.ts';
import { type Fetched, watchingProxy } from './proxy.ts';
import { handedIn } from './visit.ts';

export interface Weight {
  /** Everything of the page over the wire until it is quiet, bodies as they were sent: gzipped. */
  readonly before_bytes: number;
  readonly before_files: number;
  /** Files that only computing needs, among them. */
  readonly computing_before_consent: number;
  /** The same on the way that people go: with the link, then to My device, where the button is. */
  readonly to_button_bytes: number;
  readonly to_button_files: number;
  /** What the button has fetched until work was handed in: of the page, and of it WebAssembly. */
  readonly on_consent_bytes: number;
  readonly on_consent_wasm_bytes: number;
  /** The same on the next visit, with the page itself. */
  readonly second_visit_bytes: number;
  readonly second_visit_wasm_bytes: number;
}

/** Files of the page that only computing needs. */
const COMPUTING = /\.wasm$|\/ort|\/worker-|\/web-runtime|\/pretrain/;
const PATIENCE_MS = 300_000;

/** Opens a run's page twice in one browser, whose profile is kept between, and contributes each time. */
export async function measureWeight(network: PageNetwork): Promise<Weight> {
  const settings = { rounds: 4, round_seconds: 60, steps: Math.ceil(INNER_STEPS / 10), min_workers: 1 };
  const run = await network.createRun('weight', settings);
  const proxy = await watchingProxy(network.url);
  const visit = async () => {
    const context = await openProfile(join(network.folder, 'profile'));
    try {
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      proxy.take();
      await page.goto(`${proxy.url}/r/${run}`);
      await page.getByRole('heading', { name: 'weight' }).waitFor();
      await page.waitForLoadState('networkidle');
      const before = proxy.take();
      await page.getByRole('link', { name: 'Lend this device' }).click();
      const contribute = page.getByRole('button', { name: 'Contribute from this tab' });
      await contribute.waitFor();
      await page.waitForLoadState('networkidle');
      const toButton = [...before, ...proxy.take()];
      await contribute.click();
      await handedIn(page).waitFor();
      return { before, toButton, after: proxy.take() };
    } finally {
      await context.close();
    }
  };
  try {
    const [first, second] = [await visit(), await visit()];
    const again = [...second.toButton, ...second.after];
    return {
      before_bytes: bytesOf(first.before),
      before_files: first.before.length,
      computing_before_consent: first.toButton.filter(({ path, size_bytes }) => size_bytes > 0 && COMPUTING.test(path))
        .length,
      to_button_bytes: bytesOf(first.toButton),
      to_button_files: first.toButton.filter(({ size_bytes }) => size_bytes > 0).length,
      on_consent_bytes: bytesOf(first.after),
      on_consent_wasm_bytes: bytesOf(first.after.filter(isWasm)),
      second_visit_bytes: bytesOf(again),
      second_visit_wasm_bytes: bytesOf(again.filter(isWasm)),
    };
  } finally {
    proxy.close();
  }
}

/** A browser with a profile on disk, as people have it. */
const openProfile = (folder: string): Promise<BrowserContext> =>
  chromium.launchPersistentContext(folder, { executablePath: CHROMIUM, args: NO_GPU });

const isWasm = ({ path }: Fetched): boolean => path.endsWith('.wasm');
const bytesOf = (files: readonly Fetched[]): number => files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);

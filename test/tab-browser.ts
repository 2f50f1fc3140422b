// A real hub that serves the tab, built by Vite, and a real Chromium to open it in: what the tests of the tab share.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { type Hub, openHub } from '../src/hub/hub.ts';
import type { ContributionState } from '../src/web/tab/state.ts';
import { viteConfig } from '../src/web/vite-config.ts';

export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Without a GPU, as most servers are. */
export const NO_GPU = [...FLAGS, '--disable-gpu'];
/** With Chromium's own software GPU: slow, but it computes what a GPU would. */
export const SOFTWARE_GPU = [
  ...FLAGS,
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
];

/** Where tests need a browser: skipped on a machine without one, but not where everything must be tested. */
export const skip = !CHROMIUM && !process.env.CI ? 'no Chromium on this machine (CI must have one)' : false;

/** Builds test/tab into a folder: src/web/tab with the functions that tests call. */
export async function buildTabPage(folder: string): Promise<void> {
  const config = viteConfig(folder);
  const [gamesByName] = config.plugins!; // the others only pack for slow lines
  await build({ ...config, root: join(import.meta.dirname, 'tab'), logLevel: 'error', plugins: [gamesByName] });
}

/** What the page under test offers to `evaluate`. */
interface TabPage {
  readonly potluck: typeof import('../src/web/tab/api.ts') & typeof import('../src/web/tab/keys.ts');
  /** Contributions by the name that the test gave them. */
  tabs: Record<string, { stop(): Promise<void>; pause(): void; resume(): void; readonly state: ContributionState }>;
}

/** The global scope of the page under test, inside a function that is evaluated there. */
export type Scope = typeof globalThis & TabPage;

export interface TabNetwork {
  readonly hub: Hub;
  readonly folder: string;
  readonly browser: Browser;
}

/** For a test file: a hub that serves the tab, and a browser without a GPU. */
export function tabNetwork(): TabNetwork {
  let hub: Hub;
  let browser: Browser;
  const folder = mkdtempSync(join(tmpdir(), 'potluck-tab-'));
  before(async () => {
    const web = join(folder, 'web');
    await buildTabPage(web);
    const page = { folder: web, public_url: null };
    hub = await openHub({ folder: join(folder, 'hub'), host: '127.0.0.1', port: 0, page });
    browser = await launch(NO_GPU);
  });
  after(async () => {
    await browser?.close();
    await hub?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    get hub() {
      return hub;
    },
    get browser() {
      return browser;
    },
    folder,
  };
}

export function launch(args: readonly string[]): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: [...args] });
}

/** Starts to contribute in a page that shows the tab. `tab` names it within the page. */
export async function contributeIn(
  page: Page,
  options: {
    readonly run: string;
    readonly name: string;
    readonly url?: string;
    readonly runtime?: 'auto' | 'wasm' | 'webgpu';
  },
): Promise<void> {
  await page.evaluate((given) => {
    const scope = globalThis as Scope;
    scope.tabs ??= {};
    scope.tabs[given.name] = scope.potluck.startContributing({ url: location.origin, ...given });
  }, options);
}

/** Resolves with the first state, present or to come, that fits. `fits` runs in the page, and sees `given`. */
export async function untilState<T>(
  page: Page,
  name: string,
  fits: (state: ContributionState, given: T) => boolean,
  given?: T,
): Promise<ContributionState> {
  const handle = await page.waitForFunction(
    ([name, source, given]) => {
      const { state } = (globalThis as Scope).tabs[name];
      // biome-ignore lint/security/noGlobalEval: the test's own predicate
      const fits = eval(`(${source})`) as (state: ContributionState, given: unknown) => boolean;
      return fits(state, given) ? state : null;
    },
    [name, fits.toString(), given] as const,
    { timeout: 60_000, polling: 100 },
  );
  return handle.jsonValue() as Promise<ContributionState>;
}

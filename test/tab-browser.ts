// A real hub that serves the tab, built by Vite, and a real Chromium to open it in: what the tests of the tab share.
import { join } from 'node:path';
import { after, before } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { type PageHub, servePageOf } from '../src/bench/built-page.ts';
import { CHROMIUM, launch, NO_GPU, UNOPTIMISED } from '../src/bench/chromium.ts';
import type { Hub, HubOptions } from '../src/hub/hub.ts';
import type { Contribution } from '../src/web/tab/api.ts';
import type { ContributionState, PauseReason } from '../src/web/tab/state.ts';

/** Where tests need a browser: skipped on a machine without one, but not where everything must be tested. */
export const skip = !CHROMIUM && !process.env.CI ? 'no Chromium on this machine (CI must have one)' : false;

/** A name of this machine that a browser does not take for safe, as it takes 127.0.0.1. */
export const PLAIN_NAME = 'plain.test';

/** What the page under test offers to `evaluate`. */
interface TabPage {
  readonly potluck: typeof import('./tab/main.ts').page;
  /** Contributions by name. */
  tabs: Record<string, Contribution>;
}

/** The global scope of the page under test, inside a function that is evaluated there. */
export type Scope = typeof globalThis & TabPage;

export interface TabNetwork {
  readonly hub: Hub;
  readonly folder: string;
  /** The files of the page. */
  readonly web: string;
  readonly browser: Browser;
}

let launched: Promise<Browser> | null = null;
let files = 0;

/** Chromium without a GPU, for the tests of one file; files that share a process share it. */
export function sharedBrowser(): { readonly browser: Browser } {
  let browser: Browser;
  files++;
  before(async () => {
    launched ??= launch([...NO_GPU, UNOPTIMISED, `--host-resolver-rules=MAP ${PLAIN_NAME} 127.0.0.1`]);
    browser = await launched;
  });
  after(async () => {
    if (--files > 0) return;
    launched = null;
    await browser?.close();
  });
  return {
    get browser() {
      return browser;
    },
  };
}

/**
 * For a test file: a hub that serves the tab with what tests call in it, and a browser without a GPU.
 * @param more what else the hub is opened with
 */
export function tabNetwork(more: () => Promise<Partial<HubOptions>> = async () => ({})): TabNetwork {
  let server: PageHub;
  before(async () => {
    server = await servePageOf(join(import.meta.dirname, 'tab'), await more());
  });
  after(() => server?.close());
  const shared = sharedBrowser();
  return {
    get hub() {
      return server.hub;
    },
    get browser() {
      return shared.browser;
    },
    get folder() {
      return server.folder;
    },
    get web() {
      return server.web;
    },
  };
}

/** Nothing here takes as long, also where ten programs share a core: a tab that hangs fails its test instead of holding it up. */
export const PATIENCE_MS = 480_000;

/** A contribution in a page: all states that it has told, and those to come. */
export class TabUnderTest {
  readonly page: Page;
  readonly name: string;
  readonly states: ContributionState[] = [];
  readonly #waiting = new Set<() => void>();
  #closed = false;

  private constructor(page: Page, name: string) {
    this.page = page;
    this.name = name;
    page.once('close', () => {
      this.#closed = true;
      this.#stir();
    });
  }

  #stir(): void {
    for (const check of this.#waiting) check();
  }

  /** Starts to contribute in a page that shows the tab. `name` is also what others see; a page may have several. */
  static async start(page: Page, options: TabOptions): Promise<TabUnderTest> {
    const tab = new TabUnderTest(page, options.name);
    await page.exposeFunction(`tell_${options.name}`, (state: ContributionState) => {
      tab.states.push(state);
      tab.#stir();
    });
    await page.evaluate((given) => {
      const scope = globalThis as Scope;
      scope.tabs ??= {};
      const tab = scope.potluck.startContributing({ url: location.origin, ...given });
      scope.tabs[given.name] = tab;
      tab.subscribe((scope as unknown as Record<string, (state: unknown) => void>)[`tell_${given.name}`]);
    }, options);
    return tab;
  }

  get state(): ContributionState {
    return this.states.at(-1)!;
  }

  /** The first state, past or to come, that fits. Rejects when the page closes, the tab fails, or time is over without it. */
  until(fits: (state: ContributionState) => boolean): Promise<ContributionState> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.#closed = true;
        this.#stir();
      }, PATIENCE_MS);
      const check = (): void => {
        const found = this.states.find(fits);
        const over = this.#closed || this.state?.phase === 'failed';
        if (!found && !over) return;
        clearTimeout(late);
        this.#waiting.delete(check);
        if (found) resolve(found);
        else reject(new Error(`the tab never came to it; its last state: ${JSON.stringify(this.state)}`));
      };
      this.#waiting.add(check);
      check();
    });
  }

  pause(): Promise<void> {
    return this.page.evaluate((name) => (globalThis as Scope).tabs[name].pause(), this.name);
  }

  resume(): Promise<void> {
    return this.page.evaluate((name) => (globalThis as Scope).tabs[name].resume(), this.name);
  }

  overrule(reason: PauseReason): Promise<void> {
    const given = { name: this.name, reason };
    return this.page.evaluate(({ name, reason }) => (globalThis as Scope).tabs[name].overrule(reason), given);
  }

  stop(): Promise<void> {
    return this.page.evaluate((name) => (globalThis as Scope).tabs[name].stop(), this.name);
  }
}

interface TabOptions {
  readonly run: string;
  readonly name: string;
  readonly runtime?: 'auto' | 'wasm' | 'webgpu';
  readonly threads?: number;
}

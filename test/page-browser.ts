// The built page in a real Chromium, for its tests: anything on the console that is an error fails them, and whoever wants it gets a picture of every view.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, type TestContext } from 'node:test';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { isPageStale, PAGE_FOLDER } from '../src/cli/page.ts';
import { encodeMessage } from '../src/protocol/encode-message.ts';
import type { FromHub } from '../src/protocol/from-hub.ts';
import { decodeFromPeer } from '../src/protocol/from-peer.ts';
import { PROTOCOL_VERSION } from '../src/protocol/messages.ts';
import { hubHere } from './hub-here.ts';
import { PATIENCE_MS, sharedBrowser } from './tab-browser.ts';

const ROOT = join(import.meta.dirname, '..');
/** Where pictures go; without it none are taken. */
const PICTURES = process.env.POTLUCK_PICTURES;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** What Chromium says of a connection that a killed hub leaves behind, before, in or after an answer. */
const HUB_AWAY =
  /WebSocket connection|ERR_(CONNECTION|EMPTY_RESPONSE|INCOMPLETE_CHUNKED|CONTENT_LENGTH_MISMATCH|SOCKET_NOT_CONNECTED)/;

export interface PageBrowser {
  /** A page in a context of its own, gone when the test is over, whose errors fail the test file. */
  open(t: TestContext, options?: BrowserContextOptions): Promise<Page>;
}

/** Builds the page where that is needed and opens a browser, for the tests of one file. */
export function pageBrowser(): PageBrowser {
  const errors: string[] = [];
  before(async () => {
    if (isPageStale()) {
      const built = spawnSync(process.execPath, [join(ROOT, 'src', 'web', 'build.ts'), PAGE_FOLDER], {
        encoding: 'utf8',
      });
      assert.equal(built.status, 0, built.stderr);
    }
  });
  const shared = sharedBrowser();
  after(() => assert.deepEqual(errors, []));
  return {
    async open(t, options = {}) {
      const context = await shared.browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
      t.after(() => context.close());
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      page.on('pageerror', (error) => errors.push(`${page.url()}: ${error.stack ?? error.message}`));
      page.on('console', (message) => {
        // A hub that is away, also in the middle of an answer, is what some tests are about, 404 what others ask for, and 401 what is said without a key.
        const expected = HUB_AWAY.test(message.text()) || /status of 40[14]/.test(message.text());
        if (message.type() === 'error' && !expected) errors.push(`${page.url()}: ${message.text()}`);
      });
      return page;
    },
  };
}

/** A hub of this process that serves the page, under a name for links of its own. */
export async function pageHub(t: TestContext): Promise<string> {
  const { url } = await hubHere(t, { page: { folder: PAGE_FOLDER }, public_url: 'https://potluck.example' });
  return url;
}

type Tell = (message: FromHub) => void;

/**
 * In place of the hub's news, for a page that is opened after it: `greet` tells what who asks hears first. A page asks every ten seconds
 * whether the hub is there, and is told so. Returns what tells the page more.
 */
export async function madeUpNews(page: Page, hub: string, greet: (tell: Tell) => void): Promise<Tell> {
  let newest: Tell = () => {};
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const tell: Tell = (message) => socket.send(Buffer.from(encodeMessage(message)));
    newest = tell;
    socket.onMessage((bytes) => {
      if (decodeFromPeer(new Uint8Array(bytes as Buffer)).type === 'ping') tell({ type: 'pong' });
      else greet(tell);
    });
    tell({ type: 'challenge', protocol: PROTOCOL_VERSION, hub, nonce: new Uint8Array(32) });
  });
  return (message) => newest(message);
}

/** Keeps a picture of what is shown, where somebody wants to see it. */
export async function picture(page: Page, name: string): Promise<void> {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
}

/** Fails when axe-core finds something serious or critical. */
export async function checkAccessibility(page: Page, where: string): Promise<void> {
  // evaluate, not addScriptTag: the Content-Security-Policy would refuse an inline script.
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, impact, nodes }) => ({
      id,
      impact,
      nodes: nodes.map(({ target }) => String(target)),
    }));
  });
  const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  assert.deepEqual(serious, [], where);
}

/** Fails when the page is wider than its window. */
export async function checkWidth(page: Page, where: string): Promise<void> {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${where}: ${content} pixels wide in a window of ${window}`);
}

const WIDTHS = [360, 768, 1440];

/** Fails when the page is wider than its window in one of these widths, and takes a picture of each. */
export async function checkWidths(page: Page, name: string, widths: readonly number[] = WIDTHS): Promise<void> {
  for (const width of widths) {
    await page.setViewportSize({ width, height: 900 });
    await checkWidth(page, `${name} at ${width}`);
    await picture(page, `${name}-${width}`);
  }
}

/** Fails when the page is too wide or not readable, in the usual widths and both colours. */
export async function checkLooks(page: Page, name: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await checkWidths(page, `${name}-${colorScheme}`);
    await checkAccessibility(page, `${name} ${colorScheme}`);
  }
}

/** Fails when a link of the frame is cut at its edge. */
export async function checkLinks(page: Page, where: string): Promise<void> {
  const cut = await page.evaluate(() => {
    const nav = document.querySelector('header nav')!;
    const frame = nav.getBoundingClientRect();
    return [...nav.querySelectorAll('a')]
      .filter((link) => {
        const { left, right } = link.getBoundingClientRect();
        return left < frame.left - 1 || right > Math.min(frame.right, innerWidth) + 1;
      })
      .map(({ textContent }) => textContent);
  });
  assert.deepEqual(cut, [], where);
}

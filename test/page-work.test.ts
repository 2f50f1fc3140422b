// A person who contributes, in the built page in a real Chromium: no way leads to a dead page.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { walkViews } from '../src/bench/page/walk.ts';
import { network } from './network.ts';
import { checkAccessibility, pageBrowser, picture } from './page-browser.ts';
import { skip } from './tab-browser.ts';

const SERVED = ['--public', 'https://potluck.example'];
/** More steps than the round has time for: it is at work while we look. */
const LONG = ['--steps', '100000', '--round-seconds', '300'];

describe('a contributor', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('goes from every view to every view by every link, before and while the tab works', async (t) => {
    const net = network(t);
    const { url } = await net.hub(0, ...SERVED);
    const run = await net.createRun(url, ...LONG);
    const page = await browser.open();
    await page.goto(url);
    const idle = await walkViews(page, run, false);
    assert.deepEqual(idle.dead, []);
    assert.ok(idle.ways > 60, `${idle.ways} ways`);
    await page.goto(`${url}/r/${run}/device`);
    await page.getByRole('button', { name: 'Contribute from this tab' }).click();
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    const working = await walkViews(page, run, true);
    assert.deepEqual(working.dead, []);
    assert.ok(working.ways > idle.ways, `${working.ways} ways with the badge`);

    // A view with a mistake in it: it says so, the others go on, and the work can be stopped from there.
    await page.evaluate(() => {
      globalThis.ResizeObserver = class {
        constructor() {
          throw new Error('a mistake for the test');
        }
      } as unknown as typeof ResizeObserver;
    });
    await page.getByRole('link', { name: 'Run', exact: true }).click();
    const failed = page.getByRole('alert').filter({ hasText: 'This view failed' });
    await failed.getByText('a mistake for the test').waitFor();
    await failed.getByRole('button', { name: 'Reload' }).waitFor();
    await picture(page, 'view-failed');
    await checkAccessibility(page, 'view failed');
    await page.getByRole('link', { name: 'Ledger', exact: true }).click();
    await page.getByRole('heading', { name: 'Ledger' }).waitFor();
    await page.goBack();
    await failed.getByRole('button', { name: 'Stop' }).click();
    await failed.getByRole('button', { name: 'Stop' }).waitFor({ state: 'detached' });
    t.diagnostic(`${idle.ways} ways, and ${working.ways} while it works`);
  });
});

// The ledger in a real Chromium against a real hub: an open list costs nothing and stays still, what is searched for is found and has an
// address, and a hub that is away is never taken for one that lies.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { tinyRun } from './hub-here.ts';
import { network } from './network.ts';
import { checkAccessibility, checkWidth, pageBrowser, picture } from './page-browser.ts';
import { skip } from './tab-browser.ts';

const SERVED = ['--public', 'https://potluck.example'];

const lines = (page: Page): Promise<string[]> => page.locator('.events .says').allTextContents();

describe('the ledger', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('still under the reader, searched, filtered, saved, and read without the hub', async (t) => {
    const net = network(t);
    const { url, potluck } = await net.hub(0, ...SERVED);
    const run = await tinyRun(url, { name: 'the first' });
    const page = await browser.open(t);
    const fetched: string[] = [];
    page.on('request', (request) => {
      if (request.url().includes('/log/')) fetched.push(new URL(request.url()).pathname);
    });
    await page.goto(`${url}/ledger`);
    await page.getByText(/started the run “the first”/).waitFor();

    await t.test('what happens meanwhile is counted, fetches nothing and moves nothing', async () => {
      fetched.length = 0;
      const before = await lines(page);
      await tinyRun(url, { name: 'the second' });
      const fresh = page.getByRole('button', { name: /^\d+ new events?: show$/ });
      await fresh.waitFor();
      assert.deepEqual(await lines(page), before);
      assert.deepEqual(fetched, []);
      await picture(page, 'ledger-new');
      await fresh.click();
      await page.getByText(/started the run “the second”/).waitFor();
      assert.equal(await fresh.count(), 0);
      assert.ok(fetched.length >= 2 && fetched.length <= 4, fetched.join());
    });

    await t.test('who follows sees what is new by itself, by fetching only that', async () => {
      await page.getByRole('button', { name: 'Follow' }).click();
      fetched.length = 0;
      const sizes: number[] = [];
      page.on('response', async (response) => {
        if (response.url().includes('/log/tile/entries/')) sizes.push((await response.body()).length);
      });
      await tinyRun(url, { name: 'the third' });
      await page.getByText(/started the run “the third”/).waitFor();
      await page.getByText(/heads seen so far continues the one before/).waitFor();
      assert.ok(sizes.length > 0 && Math.max(...sizes) < 1500, `${sizes} bytes of events`);
      assert.deepEqual(
        fetched.filter((path) => !/checkpoint|entries/.test(path)),
        [],
      );
      await page.getByRole('button', { name: 'Follow' }).click();
    });

    await t.test('words, kinds, hashes and numbers are found, and the address says what is shown', async () => {
      const box = page.getByLabel('A key, hash, number, name or word');
      await box.fill('the second');
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByRole('heading', { name: 'Events found' }).waitFor();
      await page.waitForFunction(() => document.querySelectorAll('.events li').length === 1);
      assert.equal(new URL(page.url()).search, '?q=the+second');
      await page.reload();
      await page.waitForFunction(() => document.querySelectorAll('.events li').length === 1);
      await page.locator('.events a').click();
      await page.getByText('Its author signed it').waitFor();
      await page.getByRole('link', { name: 'All events' }).click();
      await page.waitForFunction(() => document.querySelectorAll('.events li').length === 1);
      await page.getByRole('button', { name: 'Show everything' }).click();
      await box.fill(run);
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByText(/started the run “the first”/).waitFor(); // the event's own hash is the run's name
      await checkAccessibility(page, 'ledger search');
      await picture(page, 'ledger-search');
      await box.fill('no such words');
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByText('No event fits.').waitFor();
      await page.goBack();
      await page.getByText(/started the run “the first”/).waitFor();
      await page.getByRole('button', { name: 'Show everything' }).click();
      await page.getByRole('button', { name: 'clock', exact: true }).click();
      await page.waitForURL(/\?kind=clock$/);
      await page.getByRole('button', { name: 'all but the clock' }).click();
      await page.getByText(/started the run “the third”/).waitFor();
      await box.fill('#0');
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByRole('heading', { name: 'Event 0' }).waitFor();
      await page.getByText('Its author signed it').waitFor();
      await page.getByRole('link', { name: 'All events' }).click();
    });

    await t.test('what is shown can be saved as a table', async () => {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: 'Save as CSV' }).click(),
      ]);
      const rows = readFileSync(await download.path(), 'utf8').split('\r\n');
      assert.equal(rows[0], 'event,kind,type,id,author,sentence,fields');
      assert.ok(rows.some((row) => row.includes(`run.created,${run}`)));
    });

    await t.test('the hub is killed: what was read stays, and nothing is called untrue', async () => {
      potluck.process.kill('SIGKILL');
      await page.getByText('The hub is away').waitFor();
      await page.getByText(/started the run “the third”/).waitFor();
      await page.getByRole('button', { name: 'Without the models' }).click();
      await page.getByText(/The audit could not be finished: .*That does not say that anything is untrue/).waitFor();
      await page.locator('.events a').first().click();
      await page.getByText(/It could not be checked: the hub did not answer\.|Its author signed it/).waitFor();
      assert.equal(await page.getByText('cannot be believed').count(), 0);
      await checkWidth(page, 'ledger without the hub');
      await checkAccessibility(page, 'ledger without the hub');
      await picture(page, 'ledger-away');
    });
  });
});

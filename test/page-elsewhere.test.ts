// Runs of other hubs on a hub's page, which leads to them, because a tab may speak to its own hub alone: one that has gone there, and those of its directory.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { listRun } from '../src/owner/list-run.ts';
import { createIdentity } from '../src/protocol/identity.ts';
import type { Changes } from '../src/protocol/messages.ts';
import { exampleOverview } from '../src/protocol/testing/example-views.ts';
import { hubHere, tinyRun } from './hub-here.ts';
import { checkLooks, madeUpNews, pageBrowser, pageHub } from './page-browser.ts';
import { skip } from './tab-browser.ts';

const THERE = 'http://b.example:7700';

describe('runs of other hubs on the page', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('one that has moved: it says that it is gone and not that it ended, and leads to where it is, also who would lend a device', async (t) => {
    const url = await pageHub(t);
    const page = await browser.open(t);
    const problem = `it goes on at the hub at ${THERE}, and devices follow by themselves, but for browser tabs`;
    const moved = { hub: 'b'.repeat(64), url: THERE, entry: 0, index: 3 };
    const overview = exampleOverview({ phase: 'finished', round: 2, rounds: 30, moved, problem });
    const news: Changes = {
      ...{ type: 'changes', whole: true, now_ms: Date.now(), events: 4, history: [], samples: [] },
      ...{ runs: [overview], peers: [{ run: overview.run, peers: [] }] },
    };
    await madeUpNews(page, '7'.repeat(64), (tell) => tell(news));
    await page.goto(`${url}/r/${overview.run}`);
    await page.getByText('Gone to another hub.').waitFor();
    assert.equal(await page.getByText('Its owner ended it').count(), 0);
    const go = page.getByRole('link', { name: 'There' });
    assert.equal(await go.getAttribute('href'), `${THERE}/r/${overview.run}`);
    await checkLooks(page, 'moved-run');
    await page.goto(`${url}/r/${overview.run}/device`);
    await page.getByText(`It goes on at the hub at ${THERE}`).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Contribute from this tab' }).count(), 0);
    await checkLooks(page, 'moved-device');
  });

  test('the directory of a registry is on its first page while it has no run, and then in its ledger', async (t) => {
    const registry = await pageHub(t);
    const { url } = await hubHere(t);
    const owner = createIdentity();
    const name = '<b>elsewhere</b>';
    const run = await tinyRun(url, { name, owner });
    const page = await browser.open(t);
    await page.goto(registry);
    await page.getByRole('heading', { name: 'No run on this hub yet' }).waitFor();
    await listRun({ url, registry, owner, wanted: run });
    await page.reload();
    const link = page.getByRole('link', { name });
    assert.equal(await link.getAttribute('href'), `${url}/r/${run}`);
    await checkLooks(page, 'registry');

    // A run of the hub itself takes the first page, and is not told of a second time.
    const here = await tinyRun(registry, { name: 'here', owner });
    await listRun({ url: registry, registry, owner, wanted: here });
    await page.reload();
    await page.getByRole('heading', { name: 'here' }).waitFor();
    assert.equal(await link.count(), 0);
    await page.goto(`${registry}/ledger`);
    await link.waitFor();
    assert.equal(await page.getByRole('link', { name: /listed by/ }).count(), 1);
  });
});

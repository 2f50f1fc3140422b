// A run that has gone to another hub, on the page of the first: it says where the run is and leads there, because a tab may speak to its own hub alone.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Changes } from '../src/protocol/messages.ts';
import { exampleOverview } from '../src/protocol/testing/example-views.ts';
import { checkLooks, madeUpNews, pageBrowser, pageHub } from './page-browser.ts';
import { skip } from './tab-browser.ts';

const THERE = 'http://b.example:7700';

describe('a run that has moved, on the page', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('says that it is gone and not that it ended, and leads to where it is, also who would lend a device', async (t) => {
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
});

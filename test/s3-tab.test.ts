// A tab whose hub has its blobs in a bucket: it reads from and uploads to another origin, and sends nothing there that is for the hub.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type S3Double, startS3Double } from '../src/ledger/testing/s3-double.ts';
import { tinyRun } from './hub-here.ts';
import { untilStatus } from './network.ts';
import { skip, TabUnderTest, tabNetwork } from './tab-browser.ts';

describe('a tab and a bucket', { skip }, () => {
  let double: S3Double | undefined;
  const tabs = tabNetwork(async () => {
    double = await startS3Double();
    const { access_key_id, secret_access_key, url, bucket } = double;
    return { s3: { url: `${url}/${bucket}`, access_key_id, secret_access_key } };
  });
  after(() => double?.stop());

  test('it learns, hands in, and its work goes straight to the bucket', async () => {
    const fromTab = new Map<string, number>();
    let told = 0;
    double!.onRequest = ({ method = '', headers }) => {
      if (headers.origin === undefined) return;
      fromTab.set(method, (fromTab.get(method) ?? 0) + 1);
      if (headers['x-potluck-signature'] || (method === 'PUT' && headers['x-potluck-peer'])) told++;
    };
    // A work of this size is not sent with its event.
    const run = await tinyRun(tabs.hub.url, { rounds: 1, steps: 2, min_workers: 1, round_seconds: 120, width: 256 });
    const page = await (await tabs.browser.newContext()).newPage();
    const problems: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    await page.goto(`${tabs.hub.url}/start`);
    const tab = await TabUnderTest.start(page, { run, name: 'ada' });
    const { handed_in } = await tab.until((state) => state.handed_in.length > 0 || state.phase === 'finished');
    assert.equal(handed_in.length, 1, problems.join('\n'));
    await untilStatus(tabs.hub.url, run, ({ phase }) => phase === 'finished');
    assert.ok((fromTab.get('GET') ?? 0) > 0, `it has read from the bucket: ${[...fromTab]}`);
    assert.ok((fromTab.get('PUT') ?? 0) > 0, `it has uploaded to the bucket: ${[...fromTab]}`);
    assert.equal(told, 0);
    assert.deepEqual(
      problems.filter((text) => /CORS|Content Security Policy/.test(text)),
      [],
    );
    await page.close();
  });
});

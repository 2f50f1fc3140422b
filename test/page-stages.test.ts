// A run in stages in a real Chromium: the page says that it learns, plays with its model, and gives its files as the command does.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { tinyRun } from './hub-here.ts';
import { network, untilStatus } from './network.ts';
import { pageBrowser } from './page-browser.ts';
import { skip } from './tab-browser.ts';

describe('a model in stages on the page', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('learns in a tab that holds one stage, beside a Node device that holds the other', async (t) => {
    const net = network(t);
    const { url } = await net.hub(0, '--public', 'https://potluck.example');
    const run = await tinyRun(url, { stages: 2, rounds: 2, steps: 2, min_workers: 2, round_seconds: 60 });
    const vera = net.join(url, 'vera', '--role', 'validator');
    await untilStatus(url, run, ({ peers }) => peers.some(({ role }) => role === 'validator'));
    const ada = net.join(url, 'ada');
    const page = await browser.open(t);
    await page.goto(`${url}/r/${run}/device`);
    await page.getByRole('button', { name: 'Contribute from this tab' }).click();
    const { peers } = await untilStatus(url, run, ({ phase }) => phase === 'finished');
    const workers = peers.filter(({ role }) => role === 'worker');
    assert.deepEqual(
      workers.map(({ merged_submissions, refused_submissions }) => [merged_submissions, refused_submissions]),
      [
        [2, 0],
        [2, 0],
      ],
    );
    assert.ok(workers.some(({ runtime }) => runtime === 'wasm'));
    assert.deepEqual(await Promise.all([ada.ended, vera.ended]), [0, 0]);
  });

  test('writes here, and is taken home', async (t) => {
    const net = network(t);
    const { url } = await net.hub(0, '--public', 'https://potluck.example');
    const run = await net.createRun(url, '--stages', '2', '--rounds', '1', '--steps', '2', '--round-seconds', '20');
    const peers = ['ada', 'bob'].map((name) => net.join(url, name));
    peers.push(net.join(url, 'vera', '--role', 'validator'));
    for (const peer of peers) assert.equal(await peer.ended, 0, peer.stderr());

    const page = await browser.open(t);
    await page.goto(`${url}/r/${run}`);
    await page.getByText(/taught a small model from [\d,]+ tokens/).waitFor();
    await page.getByRole('button', { name: 'Get the files' }).click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'model.safetensors', exact: true }).click(),
    ]);
    const folder = join(net.folder, 'taken');
    const exported = net.ask('export', run, folder, '--hub', url, '--json');
    assert.equal(await exported.ended, 0, exported.stdout());
    assert.deepEqual(readFileSync(await download.path()), readFileSync(join(folder, 'model.safetensors')));

    await page.goto(`${url}/r/${run}/play`);
    await page.getByRole('button', { name: 'Let it write' }).click();
    await page.locator('section[aria-label^=What] > .written + p[role=status]').waitFor();
    const text = (await page.locator('.written').first().textContent()) ?? '';
    assert.ok(text.startsWith('The ') && text.length > 4, text);
  });
});

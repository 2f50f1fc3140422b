// A run in stages in a real Chromium: the page draws who holds which stage, plays with its model, and gives its files as the command does.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fetchStatus } from '../src/peer/find-run.ts';
import type { Changes, PeerView, RunOverview } from '../src/protocol/messages.ts';
import { tinyRun } from './hub-here.ts';
import { network, untilStatus } from './network.ts';
import { checkLooks, madeUpNews, pageBrowser, pageHub, picture } from './page-browser.ts';
import { skip } from './tab-browser.ts';

describe('a model in stages on the page', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('learns in a tab that holds one stage, beside a Node device that holds the other', async (t) => {
    const net = network(t);
    const url = await pageHub(t);
    const run = await tinyRun(url, { stages: 2, rounds: 2, steps: 2, min_workers: 2, round_seconds: 60 });
    const vera = net.joinTogether(url, 'vera', '--role', 'validator');
    await untilStatus(url, run, ({ peers }) => peers.some(({ role }) => role === 'validator'));
    const ada = net.joinTogether(url, 'ada');
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

  test('is drawn as it lives: stages, micro-batches on their way, a device that dies and the one that takes over', async (t) => {
    const url = await pageHub(t);
    await tinyRun(url, { stages: 3, min_workers: 3 });
    const [{ peers: _, ...overview }] = (await fetchStatus(url)).runs;
    const page = await browser.open(t);
    const working = [
      { ...holder(0, 0), ...told({ micro_batches: 14, under_way: 4 }) },
      { ...holder(1, 1), ...told({ micro_batches: 6, under_way: 2, queued: 1 }) },
      { ...holder(2, 1), ...told({ micro_batches: 7, under_way: 1 }) },
      { ...holder(3, 2), ...told({ micro_batches: 13, queued: 3 }) },
    ];
    const tell = await madeUpNews(page, '7'.repeat(64), (tell) => tell(newsOf(overview, working, true)));
    await page.goto(`${url}/r/${overview.run}`);
    const box = page.getByRole('region', { name: 'The model in 3 stages' });
    const stages = box.locator('ol > li');
    const lines = async (): Promise<string[][]> => {
      const all = await stages.all();
      return Promise.all(all.map((stage) => stage.locator('ul > li').allInnerTexts()));
    };
    await stages.first().getByText('embedding').waitFor();
    assert.deepEqual(await stages.locator('h3').allInnerTexts(), [
      'Stage 1 embedding',
      'Stage 2 layer 1',
      'Stage 3 head',
    ]);
    const shown = async (): Promise<string[][]> =>
      (await lines()).map((stage) => stage.map((text) => text.replace(/\s+/g, ' ').trim()));
    assert.deepEqual(await shown(), [
      ['ada 14 done, 4 under way'],
      ['bob 6 done, 2 under way, 1 waiting', 'cyd 7 done, 1 under way'],
      ['dan 13 done, 3 waiting'],
    ]);
    assert.deepEqual(await box.locator('.crossing').allInnerTexts(), ['4 under way', '3 under way']);
    assert.deepEqual([await box.locator('.dots i').count(), await box.locator('.queue i').count()], [7, 4]);
    await picture(page, 'stages');

    // The only device of the last stage dies, and one of the two of the stage before takes its place.
    tell(newsOf(overview, [holder(3, null), holder(2, 2)]));
    await box.getByRole('status').getByText('dan has left stage 3: cyd took over from it.').waitFor();
    assert.deepEqual(await shown(), [
      ['ada 14 done, 4 under way'],
      ['bob 6 done, 2 under way, 1 waiting', 'cyd was moved to stage 3'],
      ['dan has left after 13', 'cyd 0 done took over from dan'],
    ]);
    await checkLooks(page, 'stages-taken-over');

    // Who looks elsewhere meanwhile finds it as it was; the next round forgets it.
    await page.getByRole('link', { name: 'Ledger' }).first().click();
    await page.goBack();
    await box.getByText('has left after 13').waitFor();
    tell(newsOf({ ...overview, round: 1 }, []));
    await box.getByText('has left after 13').waitFor({ state: 'detached' });
    assert.deepEqual((await shown())[2], ['cyd 0 done']);
    tell(newsOf({ ...overview, round: 1 }, [holder(2, null)]));
    await box.getByText('Nobody holds it now.').waitFor();
    await picture(page, 'stages-nobody');
  });

  test('writes here, and is taken home', async (t) => {
    const net = network(t);
    const url = await pageHub(t);
    const run = await net.createRun(url, '--stages', '2', '--rounds', '1', '--steps', '2', '--round-seconds', '20');
    const peers = ['ada', 'bob'].map((name) => net.joinTogether(url, name));
    peers.push(net.joinTogether(url, 'vera', '--role', 'validator'));
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

/** A worker that holds a stage; null: one that has left. */
const holder = (number: number, stage: number | null): PeerView => ({
  ...{ id: String(number + 1).repeat(64), name: ['ada', 'bob', 'cyd', 'dan'][number], role: 'worker' },
  ...{ runtime: 'native-cpu', present: stage !== null, credit_amount: 0, merged_submissions: 0 },
  ...{ refused_submissions: 0, progress: null, bytes_up: 0, bytes_down: 0, ...(stage !== null && { stage }) },
});

const told = (numbers: Record<string, number>): Pick<PeerView, 'progress'> => ({
  progress: { state: 'working', round: 0, amount: 1, amount_per_second: 1, numbers },
});

const newsOf = (overview: RunOverview, peers: PeerView[], whole = false): Changes => ({
  ...{ type: 'changes', whole, now_ms: Date.now(), events: 10, history: [], samples: [] },
  runs: [{ ...overview, phase: 'working' }],
  peers: [{ run: overview.run, peers }],
});

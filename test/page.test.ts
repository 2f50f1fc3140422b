// The page in a real Chromium against real hubs: what it shows is what happens, it survives a hub that goes away, it catches a log that
// is not true, strangers' names stay text, and everybody can use it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Page } from 'playwright-core';
import { nameOfFolder } from '../src/model/checkpoint-folder.ts';
import type { Changes, PeerView } from '../src/protocol/messages.ts';
import { exampleOverview } from '../src/protocol/testing/example-views.ts';
import { tinyRun } from './hub-here.ts';
import { lyingProxy } from './lying-proxy.ts';
import { network, untilStatus } from './network.ts';
import {
  checkAccessibility,
  checkLinks,
  checkWidth,
  madeUpNews,
  pageBrowser,
  pageHub,
  picture,
} from './page-browser.ts';
import { skip } from './tab-browser.ts';

const HOSTILE = '<img src=x onerror="globalThis.hacked=1"><b>Ada</b>';
/** Of the first view, and of all until the button that contributes is there. */
const FIRST_LOAD_BYTES = 100_000;
/** A flag makes the hub of the tests serve its page; this one also names it for links. */
const SERVED = ['--public', 'https://potluck.example'];
const PHONE = { viewport: { width: 360, height: 740 } };

describe('the page', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('a run as it happens, a hub that goes away, the ledger, an audit, and a log that lies', async (t) => {
    const net = network(t);
    const { url, potluck } = await net.hub(0, ...SERVED);
    const page = await browser.open(t);
    await page.goto(url);
    await page.getByRole('heading', { name: 'No run on this hub yet' }).waitFor();
    await picture(page, 'no-run');
    await checkAccessibility(page, 'no run');

    const run = await net.createRun(url, '--name', HOSTILE, '--rounds', '4', '--steps', '4', '--round-seconds', '120');
    await page.getByText(/waits for 1 worker/).waitFor();
    assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), HOSTILE);
    const vera = net.join(url, 'vera', '--role', 'validator');
    await page.locator('.peer-row', { hasText: 'vera' }).waitFor();
    await page.locator('.sample', { hasText: /Written by validator vera/ }).waitFor();
    const sample = page.locator('.sample .text');
    const before = await sample.textContent();
    const ada = net.start('join', url, '--name', HOSTILE, '--folder', `${net.folder}/ada`, '--alone', '--json');
    await page.locator('.peer-row', { hasText: HOSTILE }).waitFor();
    await untilStatus(url, run, (status) => status.round >= 2);
    await page.locator('.canvas .ink-model').waitFor();
    await page
      .locator('.figures dd', { hasText: /^\d\.\d{3}/ })
      .first()
      .waitFor();
    await ada.ended;
    await vera.ended;
    await page.locator('.headline .phase', { hasText: 'finished' }).waitFor();
    await page.getByText('4 of 4 rounds').waitFor();
    await page.locator('.sample output', { hasText: '4 rounds' }).waitFor();
    assert.notEqual(await sample.textContent(), before, 'it writes otherwise when it has learned');
    await picture(page, 'run');
    await checkAccessibility(page, 'run');
    assert.equal(await page.evaluate(() => 'hacked' in globalThis), false);

    await t.test('a card for whoever shares the link, and a dialog with it', async () => {
      await page.goto(`${url}/r/${run}`);
      assert.equal(await page.getAttribute('meta[property="og:title"]', 'content'), `${HOSTILE} · Potluck`);
      const pictured = await page.getAttribute('meta[property="og:image"]', 'content');
      assert.equal(pictured, `https://potluck.example/r/${run}/card.png?after=4`);
      const png = Buffer.from(await (await fetch(`${url}/r/${run}/card.png`)).arrayBuffer());
      assert.equal(png.toString('latin1', 1, 4), 'PNG');
      assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [1200, 630]); // as the card says
      await page.getByRole('button', { name: 'Share' }).click();
      assert.equal(await page.getByLabel('Link to this run').inputValue(), `https://potluck.example/r/${run}`);
      await page.getByRole('img', { name: /QR code/ }).waitFor();
      await checkAccessibility(page, 'share dialog');
      await picture(page, 'share');
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    });

    await t.test('the model is taken home from the page, as the files that the command writes', async () => {
      await page.getByRole('button', { name: 'Get the files' }).click();
      const names = ['config.json', 'generation_config.json', 'tokenizer_config.json', 'tokenizer.json'];
      const taken = new Map<string, Buffer>();
      for (const name of [...names, 'model.safetensors']) {
        const [download] = await Promise.all([
          page.waitForEvent('download'),
          page.getByRole('button', { name, exact: true }).click(),
        ]);
        assert.equal(download.suggestedFilename(), name);
        taken.set(name, readFileSync(await download.path()));
      }
      const folder = join(net.folder, 'taken');
      const exported = net.ask('export', run, folder, '--hub', url, '--json');
      assert.equal(await exported.ended, 0, exported.stdout() + exported.stderr());
      for (const [name, bytes] of taken) assert.deepEqual(bytes, readFileSync(join(folder, name)), name);
      await page.getByText(await nameOfFolder(folder)).waitFor();
      await checkAccessibility(page, 'take home');
    });

    await t.test('the hub is killed and started again under the open page', async () => {
      potluck.process.kill('SIGKILL');
      await page.getByText('The hub is away').waitFor();
      await picture(page, 'hub-away');
      await checkAccessibility(page, 'hub away');
      await page.getByText('4 of 4 rounds').waitFor(); // what was known stays in sight
      // A view that was never opened cannot be had now; it comes by itself, and there is one way to hurry, not two.
      await page.getByRole('link', { name: 'Ledger' }).first().click();
      await page.getByText('Waiting for the hub').waitFor();
      assert.equal(await page.getByRole('button', { name: /Try/ }).count(), 1);
      await net.hub(Number(new URL(url).port), ...SERVED);
      await page.getByText('The hub is away').waitFor({ state: 'detached' });
      await page.getByRole('heading', { name: 'Ledger' }).waitFor();
      await page.goBack();
      await page.locator('.headline .phase', { hasText: 'finished' }).waitFor();
    });

    await t.test('every event can be opened, and is checked here', async () => {
      await page.getByRole('link', { name: 'Ledger' }).first().click();
      await page.getByText(/\d+ events, signed by hub/).waitFor();
      await picture(page, 'ledger');
      await checkAccessibility(page, 'ledger');
      await page
        .locator('.events a', { hasText: /handed in .* steps 4,/ })
        .first()
        .click();
      await page.getByText('It is in the log that the hub signed').waitFor();
      assert.equal(await page.locator('.checks .good').count(), 3);
      await page.getByText('The way to the root').click();
      await picture(page, 'event');
      await checkAccessibility(page, 'event');
      await page.goBack();
      await page.locator('.events').waitFor();
    });

    await t.test('an honest log is true in every part', async () => {
      await page.getByRole('button', { name: 'Audit everything' }).click();
      const verdict = page.locator('.audit .verdict');
      await verdict.waitFor();
      assert.match((await verdict.textContent()) ?? '', /All of it is true\..* 4 model versions computed again/);
      assert.doesNotMatch((await verdict.textContent()) ?? '', /Not checked/);
      await picture(page, 'audit-true');
    });

    await t.test('of a log that was changed on the way, the first untruth is named', async (t) => {
      const other = await browser.open(t); // closed before the proxy, which waits for whoever is connected
      const changed = 7;
      // The last byte of an event is the last of its signature.
      const proxy = await lyingProxy(url, (entry, index) =>
        index < changed ? entry : entry.with(-1, entry.at(-1)! ^ 1),
      );
      t.after(() => proxy.close());
      await other.goto(`${proxy.url}/ledger`);
      await other.getByRole('button', { name: 'Without the models' }).click();
      const verdict = other.locator('.audit .verdict');
      await verdict.waitFor();
      assert.match(
        (await verdict.textContent()) ?? '',
        new RegExp(`The first untruth is event ${changed}\\..*bad-event`),
      );
      await verdict.getByRole('link', { name: 'Open it' }).click();
      await other.getByText('It is not signed by its author').waitFor();
      await other.getByText('It is not where the hub says').waitFor();
      await picture(other, 'audit-untrue');
      await checkAccessibility(other, 'untrue event');
      await other.getByRole('link', { name: 'Before' }).click();
      await other.getByText('Its author signed it').waitFor();
    });

    await t.test('on a phone, in the dark, every view fits and can be used', async (t) => {
      const phone = await browser.open(t, { ...PHONE, colorScheme: 'dark' });
      for (const [name, path, sign] of [
        ['run', `/r/${run}`, 'of 4 rounds'],
        ['device', `/r/${run}/device`, 'Who earns it'],
        ['ledger', '/ledger', 'signed by hub'],
        ['event', '/ledger/3', 'Its author signed it'],
        ['play', `/r/${run}/play`, ''],
        ['start', '/start', ''],
        ['nowhere', `/r/${'0'.repeat(64)}`, 'no such run'],
      ]) {
        await phone.goto(url + path);
        await phone.locator('main :is(h1, .loading)').first().waitFor();
        await phone.getByText(sign).first().waitFor();
        await picture(phone, `phone-${name}`);
        await checkWidth(phone, name);
        await checkLinks(phone, name);
        await checkAccessibility(phone, `phone ${name}`);
      }
    });
  });

  test('by keyboard: past the frame to the content, through the views, and into the list', async (t) => {
    const url = await pageHub(t);
    const page = await browser.open(t);
    await page.goto(url);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'Skip to the content');
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'Potluck');
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'Ledger');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Ledger' }).waitFor();
    assert.equal(new URL(page.url()).pathname, '/ledger');
  });

  test('the first load is small, also with the way to the button, and nothing that computes is in it', async (t) => {
    const url = await pageHub(t);
    await tinyRun(url);
    const page = await browser.open(t);
    const loaded = new Map<string, number>();
    page.on('response', async (response) => {
      const { pathname } = new URL(response.url());
      if (response.request().method() === 'HEAD') return; // of what consent would fetch, for its size
      const { responseBodySize } = await response.request().sizes();
      loaded.set(pathname, responseBodySize);
    });
    await page.goto(url);
    await page.getByText(/waits for 1 worker/).waitFor();
    await page.waitForLoadState('networkidle');
    const sumOf = (): number => [...loaded.values()].reduce((all, size) => all + size, 0);
    const sum = sumOf();
    t.diagnostic(`first load: ${sum} bytes in ${loaded.size} files`);
    assert.ok(sum > 10_000 && sum <= FIRST_LOAD_BYTES, `${sum} bytes: ${JSON.stringify([...loaded])}`);
    await page.getByRole('link', { name: 'Lend this device' }).click();
    await page.getByRole('button', { name: 'Contribute from this tab' }).waitFor();
    await page.waitForLoadState('networkidle');
    t.diagnostic(`on the way to the button: ${sumOf()} bytes in ${loaded.size} files`);
    assert.ok(sumOf() > sum && sumOf() <= FIRST_LOAD_BYTES, `${sumOf()} bytes: ${JSON.stringify([...loaded])}`);
    for (const path of loaded.keys()) assert.doesNotMatch(path, /wasm|ort|worker|pretrain/);
    assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  });

  test('what a model is said to write is text, whatever it says', async (t) => {
    const url = await pageHub(t);
    const page = await browser.open(t);
    const { changes } = crowd(3);
    const said = { run: HASH, by: '9'.repeat(64), model: HASH, merged_rounds: 3, prompt: 'It was' };
    const text = `${HOSTILE}\n\u202enettirw sdrawkcab\u0000\n${'w'.repeat(1500)}`;
    await madeUpNews(page, HASH, (tell) => {
      for (const message of changes) tell(message);
      tell({ ...changes[0], whole: false, samples: [{ ...said, text }] });
    });
    await page.goto(url);
    const shown = page.locator('.sample .text');
    await shown.waitFor();
    const [prompt, first, second] = ((await shown.textContent()) ?? '').split(/(?<=It was)|\n/);
    assert.deepEqual([prompt, first, second], ['It was', HOSTILE, 'nettirw sdrawkcab']);
    assert.equal(await shown.locator('img, b').count(), 0);
    assert.equal(await page.evaluate(() => 'hacked' in globalThis), false);
    await checkWidth(page, 'a sample of one long word');
    await checkAccessibility(page, 'sample');
    await picture(page, 'sample');
  });

  test('the chart: by keyboard and by dragging, a zoom that stays, other runs and single workers, CSV and PNG; the slider', async (t) => {
    const url = await pageHub(t);
    const page = await browser.open(t);
    const { changes } = crowd(3);
    const other = '8'.repeat(64);
    const series = (from: number, count: number) => {
      const rounds = Array.from({ length: count }, (_, i) => from + i);
      return {
        merged_rounds: rounds,
        time_ms: rounds.map((round) => 1e12 + round * 1000),
        amount: rounds.map((round) => round * 1000),
        bytes: rounds.map((round) => round * 10),
        value: rounds.map((round) => 2 + 4 / (1 + round)),
      };
    };
    const history = (run: string, from: number, count: number) => ({
      ...{ run, evaluations: series(from, count), rounds: series(from, count) },
    });
    const sampleOf = (merged_rounds: number, text: string) => ({
      ...{ run: HASH, by: '9'.repeat(64), model: merged_rounds.toString(16).padStart(64, '0') },
      ...{ merged_rounds, prompt: 'It was', text },
    });
    await page.route('**/samples', (route) =>
      route.fulfill({ json: { samples: [sampleOf(0, '\ufffd'.repeat(90)), sampleOf(5, ' half a night')] } }),
    );
    await page.route('**/workers/*', (route) =>
      route.fulfill({
        json: {
          rounds: [1, 5, 9].map((merged_rounds) => ({
            merged_rounds,
            amount: 1,
            numbers: { steps: 1, loss_micro: 3e6 },
          })),
        },
      }),
    );
    const tell = await madeUpNews(page, HASH, (tell) => {
      const runs = [RUN, { ...RUN, run: other, name: 'another' }];
      const known = [history(HASH, 0, 10), history(other, 0, 6)];
      tell({ ...changes[0], runs, history: known, samples: [sampleOf(9, ' a fine day')] });
    });
    await page.goto(`${url}/r/${HASH}`);
    const plot = page.getByRole('group', { name: /Chart: validation loss went from 6.000 to 2.400/ });
    const readout = plot.getByRole('status');
    await plot.press('End');
    assert.equal(await readout.textContent(), '9k tokens: workers 2.4000, validation 2.4000');
    await plot.press('ArrowLeft');
    assert.match((await readout.textContent()) ?? '', /^8k tokens: workers 2\.4444/);

    const labels = () => plot.locator('text').allTextContents();
    const whole = await labels();
    const { x, y, width } = (await plot.boundingBox())!;
    await page.mouse.move(x + width * 0.6, y + 50);
    await page.mouse.down();
    await page.mouse.move(x + width * 0.8, y + 60);
    await page.mouse.up();
    await page.getByRole('button', { name: 'Show everything' }).waitFor();
    const enlarged = await labels();
    assert.notDeepEqual(enlarged, whole);
    tell({ ...changes[0], whole: false, peers: [], history: [history(HASH, 10, 1)] });
    await page.getByRole('group', { name: /to 2\.364/ }).waitFor();
    const still = page.locator('.canvas');
    assert.deepEqual(
      await still.locator('text').allTextContents(),
      enlarged,
      'a new point leaves the part that is looked at',
    );
    await still.press('0');
    await page.getByRole('button', { name: 'Show everything' }).waitFor({ state: 'detached' });

    await page.getByLabel('Smoothing').fill('0.6');
    await page.locator('.line.behind').first().waitFor();
    await page.getByLabel('Logarithmic axis').check();
    await page.getByLabel('Ignore outliers').check();
    await page.getByRole('button', { name: 'another' }).click();
    await page.locator('.legend', { hasText: 'another' }).waitFor();
    await page.locator('.peer-row', { hasText: 'device 1' }).click();
    await page.getByText('Its own training loss went from 3.000 in round 1 to 3.000 in round 9.').waitFor();
    await page.getByText('1'.padStart(64, '0')).waitFor(); // its whole key
    await page.getByRole('button', { name: 'Draw its curve in the chart' }).click();
    await page.locator('.legend', { hasText: 'device 1' }).waitFor();
    await checkAccessibility(page, 'chart');
    await picture(page, 'chart');

    const save = async (button: string) => {
      const saving = page.waitForEvent('download');
      await page.getByRole('button', { name: button }).click();
      const download = await saving;
      return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
    };
    const csv = await save('Save as CSV');
    assert.equal(csv.name, 'a-crowd-validation-loss.csv');
    const lines = csv.bytes.toString().split('\n');
    assert.equal(lines.length, 1 + 11 + 11 + 6 + 3 + 1);
    assert.ok(
      lines.includes('"validation, on text that nobody trains on",9,1000000009000,9000,90,2.4'),
      lines.join('\n'),
    );
    const png = await save('Save as PNG');
    assert.deepEqual(
      [png.name, png.bytes.toString('latin1', 1, 4), png.bytes.readUInt32BE(16)],
      ['a-crowd-validation-loss.png', 'PNG', 2400],
    );

    const slider = page.getByLabel('What it wrote after');
    assert.match((await page.locator('.sample .text').textContent()) ?? '', /a fine day/);
    await slider.focus();
    await page.locator('.rounds-slider input[max="2"]').waitFor(); // what was written before has come
    await slider.press('ArrowLeft');
    await page.locator('.sample', { hasText: /half a night.*5 rounds/s }).waitFor();
    await slider.press('Home');
    await page.locator('.sample', { hasText: /It was·{8}.*0 rounds.*100 % of these are no text/s }).waitFor();
  });

  test('thousands of devices: only the rows in sight are drawn, and changes arrive', async (t) => {
    const url = await pageHub(t);
    const page = await browser.open(t);
    const { changes, one } = crowd(3000);
    await madeUpNews(page, HASH, (tell) => {
      for (const message of changes) tell(message);
      setTimeout(() => tell(one), 500);
    });
    await page.goto(url);
    await page.getByRole('region', { name: '3000 devices' }).waitFor();
    assert.ok((await page.locator('.peer-row').count()) < 60);
    await page.locator('.peer-row', { hasText: 'the newest' }).waitFor();
    await page.locator('.peer-rows').evaluate((element) => element.scrollTo(0, 1500 * 44));
    await page.locator('.peer-row', { hasText: 'device 1500' }).waitFor();
    assert.ok((await page.locator('.peer-row').count()) < 60);
    await page.getByRole('button', { name: /WebGPU/ }).click();
    await page.getByRole('region', { name: '1000 devices' }).waitFor();
    await picture(page, 'crowd');
    await checkAccessibility(page, 'crowd');
  });
});

const focused = (page: Page): Promise<string | null> => page.evaluate(() => document.activeElement!.textContent);

const HASH = bytesToHex(new Uint8Array(32).fill(7));
const RUN = exampleOverview({
  run: HASH,
  name: 'a crowd',
  round: 3,
  rounds: 9,
  remaining_ms: 10_000,
  round_ms: 20_000,
  judging_ms: 20_000,
  merged_amount: 1_000_000_000,
  bytes_submitted: 1_000_000,
  dense_bytes: 200_000_000,
  amount_per_second: 1_000_000,
  numbers: { work: [{ name: 'loss_micro', words: 'training loss', unit: 'nats' }], verdict: [] },
  unit: 'tokens',
  metrics: [{ name: 'loss_micro', words: 'validation loss', unit: 'nats', better: 'lower', first: 5.5, last: 2.5 }],
  evaluated_rounds: 3,
});

/** What a hub with so many workers of three classes tells, and one who comes a moment later. */
function crowd(count: number): { changes: Changes[]; one: Changes } {
  const peerOf = (number: number, name: string): PeerView => ({
    id: number.toString(16).padStart(64, '0'),
    name,
    role: 'worker',
    runtime: ['native-cpu', 'wasm', 'webgpu'][number % 3],
    present: true,
    credit_amount: 1_000_000 - number,
    merged_submissions: 3,
    refused_submissions: 0,
    progress: {
      state: 'working',
      round: 3,
      amount: number % 30,
      amount_per_second: 3000,
      numbers: { steps: number % 30, loss_micro: 2500000 },
    },
    bytes_up: 30_000,
    bytes_down: 100_000,
  });
  const common = { type: 'changes' as const, now_ms: Date.now(), events: 10, history: [], samples: [] };
  const peers = Array.from({ length: count }, (_, i) => peerOf(i, `device ${i}`));
  const pieces = [0, 1000, 2000].map((from) => ({
    ...common,
    whole: from === 0,
    runs: from === 0 ? [RUN] : [],
    peers: [{ run: HASH, peers: peers.slice(from, from + 1000) }],
  }));
  const newest = { ...peerOf(5, 'the newest'), credit_amount: 2_000_000 };
  return { changes: pieces, one: { ...common, whole: false, runs: [RUN], peers: [{ run: HASH, peers: [newest] }] } };
}

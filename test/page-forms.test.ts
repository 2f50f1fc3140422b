// What people fill in and start from the page, in a real Chromium against real hubs: a run from the form, and a tab that takes part or
// says beforehand that it cannot. Nothing typed may be lost, and nothing may be promised that does not hold.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Changes, PeerView } from '../src/protocol/messages.ts';
import { exampleOverview } from '../src/protocol/testing/example-views.ts';
import { decodeManifest } from '../src/training/shards.ts';
import { tinyRun } from './hub-here.ts';
import { network, untilStatus } from './network.ts';
import { checkAccessibility, checkWidth, madeUpNews, pageBrowser, pageHub, picture } from './page-browser.ts';
import { skip } from './tab-browser.ts';

const SERVED = ['--public', 'https://potluck.example'];
const HASH = '7'.repeat(64);

describe('forms of the page', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('a run is started from the form, owned by the person of the browser', async (t) => {
    const url = await pageHub(t);
    const page = await browser.open(t);
    await page.goto(`${url}/start`);
    const start = page.getByRole('button', { name: 'Start the run' });
    assert.equal(await start.isDisabled(), true);
    await page.getByText('It needs a name.').waitFor();
    await page.getByLabel('Name', { exact: true }).fill('  ');
    await page.getByText('Expected a name, not only blanks.').waitFor();
    await page.getByText('“Name” is not right yet.').waitFor();
    await page.getByLabel('Name', { exact: true }).fill('started here');
    await page.getByLabel('or paste it here').fill('A short text. ');
    await page.getByLabel('Rounds').fill('0');
    await page.getByText('Expected a whole number from 1 to 1,000,000.').waitFor();
    await page.getByText('One of the numbers is out of range').waitFor();
    assert.equal(await start.isDisabled(), true);
    await page.getByLabel('Rounds').fill('7');
    await page.getByText(/It takes at most 3 min 30 s of training/).waitFor();
    await start.click();
    await page.getByText(/too little text for a context of 64 tokens/).waitFor(); // nothing was signed

    await page.getByText('More: shape').click();
    await page.getByLabel('Layers', { exact: true }).fill('1');
    await page.getByLabel('Width').fill('24');
    await page.getByLabel('Tokens of context').fill('32');
    await page.getByLabel('Sequences per batch').fill('5');
    await page.getByLabel('Highest learning rate').fill('0.02');
    await page.getByLabel('Share the embedding').check();
    await page.getByLabel('Which work is merged').selectOption('agreement');
    await checkAccessibility(page, 'start');
    await picture(page, 'start');

    // Longer than what a box is good for, and another letter after it: all of it is learned from.
    const text = 'A text that repeats itself, as texts for tests do. '.repeat(2000);
    const box = page.getByLabel('or paste it here');
    await box.fill(text);
    await page.getByText(/102,000 characters, all of them kept/).waitFor();
    await box.press('x');
    await page.getByText(/102,000 characters, all of them kept/).waitFor();
    await start.click();
    await page.getByRole('heading', { name: 'Your run is open' }).waitFor();
    await page.getByRole('button', { name: 'Share' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Copy' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /24 words/ }).waitFor();
    await checkAccessibility(page, 'created');
    await picture(page, 'created');
    await page.getByRole('link', { name: 'Watch it' }).click();
    await page.getByRole('heading', { name: 'started here' }).waitFor();
    await page.getByText('0 of 7 rounds').waitFor();

    // The key is in this browser: its owner pauses, resumes and, asked once more, ends the run here.
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Paused by its owner before anything was learned.').waitFor();
    await checkAccessibility(page, 'paused');
    await picture(page, 'paused');
    assert.equal(await page.getByRole('link', { name: 'Lend this device' }).count(), 0);
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByText('A small model waits for its first device.').waitFor();
    await page.getByRole('button', { name: 'End …' }).click();
    await page.getByRole('button', { name: 'Keep it' }).click();
    await page.getByRole('button', { name: 'End …' }).click();
    await page.getByRole('button', { name: 'End the run' }).click();
    await page.getByText('Ended by its owner before anything was learned.').waitFor();
    assert.equal(await page.getByRole('heading', { name: 'This run is yours' }).count(), 0);
    await page.getByRole('link', { name: 'Start a run' }).last().waitFor();
    await checkAccessibility(page, 'ended with nothing');
    const blob = async (hash: string) => new Uint8Array(await (await fetch(`${url}/blobs/${hash}`)).arrayBuffer());
    const { params } = await untilStatus(url, new URL(page.url()).pathname.slice(3), () => true);
    const settings = JSON.parse(new TextDecoder().decode(await blob(params)));
    const { num_hidden_layers, hidden_size, num_attention_heads, tie_word_embeddings } = settings.model;
    assert.deepEqual([num_hidden_layers, hidden_size, num_attention_heads, tie_word_embeddings], [1, 24, 4, true]);
    assert.deepEqual([settings.context, settings.batch, settings.learning_rate], [32, 5, 0.02]);
    assert.deepEqual(settings.sparse, { merge_rule: 'agreement' });
    const { train, validation } = decodeManifest(await blob(settings.dataset));
    const tokens = [...train, ...validation].reduce((sum, piece) => sum + piece.tokens, 0);
    assert.ok(tokens >= text.length, `${tokens} tokens of ${text.length} characters`);
  });

  test('a text in the box stays whole while it is edited, and one from a file can be put away', async (t) => {
    const url = await pageHub(t);
    const page = await browser.open(t);
    await page.goto(`${url}/start`);
    const box = page.getByLabel('or paste it here');
    // Longer than what a box shows of a text that it does not let anybody edit.
    const text = 'a line of a text\n'.repeat(400);
    await box.fill(text);
    await box.press('Control+End');
    await box.pressSequentially('and more');
    assert.equal(await box.inputValue(), `${text}and more`);
    const file = { name: 'book.txt', mimeType: 'text/plain', buffer: Buffer.from('b'.repeat(200_000)) };
    await page.getByLabel('choose files').setInputFiles(file);
    await page.getByText(/200,000 characters, all of them kept/).waitFor();
    assert.equal(await box.isEditable(), false);
    await page.getByRole('button', { name: 'Remove the text' }).click();
    assert.deepEqual([await box.inputValue(), await box.isEditable()], ['', true]);
    assert.equal(await page.getByLabel('choose files').inputValue(), '');
  });

  test('the forecast measures by who has trained and is still here, and no news disturbs who types', async (t) => {
    const url = await pageHub(t);
    const page = await browser.open(t);
    await page.route(`**/blobs/${HASH}`, (route) => route.fulfill({ json: { model: MODEL } }));
    const more = await madeUpNews(page, HASH, (tell) => tell({ ...changesOf(true, 'waiting'), whole: true }));
    const tell = (present: boolean, state: 'working' | 'waiting') => more(changesOf(present, state));
    await page.goto(`${url}/start`);
    await page.getByText('No device here has reported its speed yet.').waitFor();
    tell(true, 'working');
    await page.getByText(/With the device at work here now, about/).waitFor();
    const rounds = page.getByLabel('Rounds');
    await rounds.fill('');
    tell(true, 'waiting');
    await page.getByText('Expected a whole number from 1 to 1,000,000.').waitFor();
    assert.equal(await rounds.inputValue(), '');
    await rounds.pressSequentially('40');
    await page.getByText(/With the device at work here now, about/).waitFor(); // it waits, and its speed is known
    tell(false, 'waiting');
    await page.getByText('No device is at work on this hub, so there is no speed to go by.').waitFor();
    assert.equal(await rounds.inputValue(), '40');
  });

  test('a tab that takes part for the first time shows for whom as soon as there is a key', async (t) => {
    const url = await pageHub(t);
    // More steps than the round has time for: it is at work while we look.
    const run = await tinyRun(url, { steps: 100_000, round_seconds: 120 });
    const page = await browser.open(t);
    await page.goto(`${url}/r/${run}/device`);
    await page.getByText(/learns a piece of the text/).waitFor();
    await page.getByText(/Nobody yet. This browser makes a key when you first contribute/).waitFor();
    await page.getByLabel('It works').selectOption('10'); // it costs less
    await page.getByRole('button', { name: 'Contribute from this tab' }).click();
    await page.getByText(/You are [0-9a-f]{8}; this browser is [0-9a-f]{8}/).waitFor();
    await page.getByRole('button', { name: 'Stop' }).waitFor(); // still the first contribution
    await picture(page, 'device-at-work');
    await checkAccessibility(page, 'device at work');
  });

  test('a browser that keeps nothing is offered no words, because they would be nobody', async (t) => {
    const url = await pageHub(t);
    const page = await browser.open(t);
    await page.addInitScript(() => {
      indexedDB.open = () => {
        throw new DOMException('denied', 'SecurityError');
      };
    });
    await page.goto(`${url}/r/${HASH}/device`);
    await page.getByText(/This browser keeps nothing for this page/).waitFor();
    await page.getByText('This hub has no such run.').waitFor();
    assert.equal(await page.getByRole('button', { name: /words|Contribute/ }).count(), 0);
  });

  test('a game that is in no page: it says so before anything is fetched, and how one takes part in it', async (t) => {
    const net = network(t);
    const game = join(net.folder, 'own.ts');
    const chain = JSON.stringify(join(import.meta.dirname, '..', 'src', 'games', 'addition-chain.ts'));
    writeFileSync(game, `import { game as chain } from ${chain};\nexport const game = { ...chain, name: 'my-own' };\n`);
    const { url } = await net.hub(0, ...SERVED, '--game-file', game);
    const create = async (name: string) => {
      const { run } = await net
        .start('run', 'create', '--hub', url, '--game', name, '--json')
        .line(({ type }) => type === 'created');
      return String(run);
    };
    const page = await browser.open(t, { viewport: { width: 360, height: 740 } });
    await page.goto(`${url}/r/${await create(game)}/device`);
    await page.getByText(/does not have the game "my-own".*potluck join http:\S+ --game-file FILE/).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Contribute' }).count(), 0);
    await checkWidth(page, 'a game that is not here');
    await page.goto(`${url}/r/${await create('addition-chain')}/device`);
    await page.getByText(/plays a part of addition-chain/).waitFor();
    await page.getByRole('button', { name: 'Contribute from this tab' }).waitFor();
  });
});

const MODEL = {
  ...{ vocab_size: 257, hidden_size: 128, intermediate_size: 352, num_hidden_layers: 4 },
  ...{ num_attention_heads: 4, max_position_embeddings: 64 },
};

/** What a hub tells of a run with one worker. */
function changesOf(present: boolean, state: 'working' | 'waiting'): Changes {
  const peer: PeerView = {
    ...{ id: '1'.repeat(64), name: 'ada', role: 'worker', runtime: 'wasm', present, credit_amount: 0 },
    ...{ merged_submissions: 0, refused_submissions: 0, bytes_up: 0, bytes_down: 0 },
    progress: {
      state,
      round: 0,
      amount: 1,
      amount_per_second: state === 'working' ? 40_000 : 0,
      numbers: { steps: 1, loss_micro: 2000000 },
    },
  };
  return {
    ...{ type: 'changes', whole: false, now_ms: Date.now(), events: 10, history: [], samples: [] },
    runs: [exampleOverview({ run: HASH, params: HASH, phase: state === 'working' ? 'working' : 'judging' })],
    peers: [{ run: HASH, peers: [peer] }],
  };
}

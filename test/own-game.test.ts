// The game of docs/writing-a-game.md, word for word: what `game new` writes, valid, sound against liars, and played by a worker that names
// its hash and by a tab whose owner has agreed to it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startOfGame } from '../src/cli/game-start.ts';
import type { RunStatus } from '../src/protocol/messages.ts';
import { type Network, network, untilStatus } from './network.ts';
import { checkAccessibility, pageBrowser } from './page-browser.ts';
import { skip } from './tab-browser.ts';

const ROOT = join(import.meta.dirname, '..');
const MOST_LINES = 60;
/** Of which a tab plays the first. */
const ROUNDS = 5;
const browser = skip ? null! : pageBrowser();
const [, GAME] = /^```ts\n(.*?)^```$/ms.exec(readFileSync(join(ROOT, 'docs', 'writing-a-game.md'), 'utf8'))!;

/** The game of the document in a file, a hub that knows it, and a run of it with a validator. */
async function runOfIt(net: Network) {
  const file = join(net.folder, 'zero-bits.ts');
  writeFileSync(file, GAME);
  const { url } = await net.hub(0, '--game-file', file);
  const create = net.ask(
    'run',
    'create',
    '--hub',
    url,
    '--game',
    file,
    '--rounds',
    String(ROUNDS),
    '--round-seconds',
    '8',
    '--json',
  );
  const { run } = await create.line(({ type }) => type === 'created');
  const { game_file } = await create.line(({ type }) => type === 'game-file');
  net.joinTogether(url, 'judge', '--role', 'validator', '--game', String(game_file));
  await untilStatus(url, String(run), ({ peers }) =>
    peers.some(({ role, present }) => role === 'validator' && present),
  );
  return { url, run: String(run), game_file: String(game_file) };
}

const creditOf = ({ peers }: RunStatus, role: 'worker' | 'validator'): number =>
  peers.filter((peer) => peer.role === role).reduce((sum, { credit_amount }) => sum + credit_amount, 0);

test('the document’s game is short, imports potluck/game alone, and is what `game new` writes', (t) => {
  const { folder } = network(t);
  assert.ok(GAME.trimEnd().split('\n').length <= MOST_LINES);
  assert.deepEqual(
    [...GAME.matchAll(/from '(.*)'/g)].map(([, name]) => name),
    ['potluck/game'],
  );
  assert.equal(GAME, startOfGame('zero-bits'));
  const potluck = (...words: string[]): string =>
    execFileSync(process.execPath, [join(ROOT, 'bin', 'potluck.js'), ...words], { cwd: folder, encoding: 'utf8' });
  potluck('game', 'new', 'zero-bits');
  assert.equal(readFileSync(join(folder, 'zero-bits.ts'), 'utf8'), GAME);
  assert.throws(() => potluck('game', 'new', 'zero-bits'), /is there already/);
  assert.throws(() => potluck('game', 'new', '../zero'), /expected a name such as/);
});

test('it is valid, and no liar that needs no accomplice earns by it', async (t) => {
  const net = network(t);
  const file = join(net.folder, 'zero-bits.ts');
  writeFileSync(file, GAME);
  const validated = net.ask('game', 'validate', file, '--json');
  const { broken } = await validated.line(({ type }) => type === 'validated');
  assert.equal(broken, 0);
  assert.equal(await validated.ended, 0);
  const liars = ['--adversaries', 'copier,boast,noise,zeros,lazy', '--rounds', '3'];
  const played = net.start('play', file, '--json', ...liars);
  assert.deepEqual((await played.line(({ type }) => type === 'verdict')).exploits, []);
  assert.equal(await played.ended, 0);
  const trusting = join(net.folder, 'trusting.ts');
  writeFileSync(trusting, GAME.replace(' && 2 ** bits === amount', ''));
  const holed = net.start('play', trusting, '--json', '--quick', '--adversaries', 'boast');
  assert.match(JSON.stringify(await holed.line(({ type }) => type === 'verdict')), /EXPLOIT: boast \(worker\) earns/);
  assert.equal(await holed.ended, 3);
  const spoiled = join(net.folder, 'spoiled.ts');
  writeFileSync(spoiled, GAME.replace('bits > 0 && 2 ** bits === amount', 'bits > 99'));
  const refused = net.ask('game', 'validate', spoiled, '--json');
  const { part, got } = await refused.line(({ type, got }) => type === 'game-check' && got !== null);
  assert.deepEqual([part, got], ['check', 'refused (not-what-it-says)']);
  assert.equal(await refused.ended, 1);
});

test('a tab plays it in a sandbox once its owner has agreed to its hash, a worker by its hash, and neither without', async (t) => {
  const net = network(t);
  const { url, run, game_file } = await runOfIt(net);
  await t.test('a tab', { skip }, async (t) => {
    const page = await browser.open(t);
    await page.goto(`${url}/r/${run}/device`);
    const start = page.getByRole('button', { name: 'Contribute from this tab' });
    await page.getByText('is a game that somebody else has written').waitFor();
    assert.equal(await start.isDisabled(), true);
    await checkAccessibility(page, 'a game of a stranger');
    await page.getByLabel(`Run the file ${game_file.slice(0, 12)} in this tab`).check();
    await start.click();
    // What the tab says of its work has the game's words, and no others.
    const figures = page.locator('.work .figures');
    await figures.getByText('Leading zero bits').waitFor();
    assert.match(await figures.innerText(), /hashes a second.*hashes.*Leading zero bits.*Numbers tried/is);
    await untilStatus(url, run, (status) => creditOf(status, 'worker') > 0);
    await page.close();
    const onlooker = await browser.open(t);
    await onlooker.goto(`${url}/r/${run}`);
    await onlooker.getByRole('heading', { name: 'Numbers kept' }).waitFor();
    await onlooker.getByText('numbers; higher is better').waitFor();
    await onlooker.locator('.peer-row', { hasNotText: 'judge' }).first().click();
    await onlooker.getByText(/checked hashes/).waitFor();
    const words = await onlooker.locator('main').innerText();
    assert.doesNotMatch(words, /loss|token/i, 'words of pre-training for a game that has none of it');
  });
  const stranger = net.joinTogether(url, 'stranger', '--run', run);
  const { error } = await stranger.line((line) => 'error' in line);
  assert.match(JSON.stringify(error), new RegExp(`no game .*zero-bits.*--game ${game_file} runs it with your rights`));
  assert.equal(await stranger.ended, 1);
  const worker = net.joinTogether(url, 'ada', '--run', run, '--game', game_file);
  // A validator measures what was merged last after the run has finished.
  const keptOf = ({ peers }: RunStatus): number =>
    peers.reduce((sum, { merged_submissions }) => sum + merged_submissions, 0);
  const done = await untilStatus(url, run, (now) => now.phase === 'finished' && now.metrics[0]?.last === keptOf(now));
  const kept = keptOf(done);
  assert.ok(kept >= ROUNDS);
  assert.ok(done.peers.find(({ name }) => name === 'ada')!.credit_amount > 0);
  assert.deepEqual([done.unit, done.metrics.length], ['hashes', 1]);
  const [{ first, last, ...metric }] = done.metrics;
  assert.deepEqual(metric, { name: 'kept', words: 'numbers kept', unit: 'numbers', better: 'higher' });
  assert.ok(first !== null && last !== null && first < last, `${first} → ${last}`);
  const status = net.ask('status', url, '--all');
  assert.equal(await status.ended, 0);
  assert.match(status.stdout(), new RegExp(`numbers kept ${kept}\\n {2}[\\d,]+ hashes merged`));
  assert.equal(await worker.ended, 0);
  // What a run offers is run by audits, too, only where it is named by its hash.
  const unread = net.ask('audit', url, '--json');
  assert.match(JSON.stringify(await unread.line(() => true)), new RegExp(`its file is needed .*--game ${game_file}`));
  for (const threads of [[], ['--threads', '2']]) {
    const audit = net.ask('audit', url, '--json', '--game', game_file, ...threads);
    const { verdict, models } = await audit.line(() => true);
    assert.deepEqual([verdict, models], ['true', { recomputed: ROUNDS, submissions: kept }]);
  }
  const [work] = worker.lines.filter(({ type }) => type === 'accepted');
  const { bits, tried, ...others } = work.numbers as Record<string, number>;
  // A first work ends after a second, on a busy machine before all are tried.
  assert.ok(tried > 0 && tried <= 3000, `${tried}`);
  assert.deepEqual([others, work.amount], [{}, 2 ** bits]);
  const why = net.ask('why', String(work.submission), '--hub', url);
  assert.equal(await why.ended, 0);
  const said = `leading zero bits ${bits}, numbers tried 3,000`;
  assert.match(why.stdout(), new RegExp(`It is [\\d,]+ hashes in \\d bytes.*its worker says: ${said}\\.`));
  assert.match(
    why.stdout(),
    new RegExp(`of its [\\d,]+ hashes, "ok", with a score of .*: leading zero bits ${bits} \\(event`),
  );
  const recheck = net.ask('recheck', String(work.submission), '--hub', url, '--json', '--game', game_file);
  assert.equal((await recheck.line(({ type }) => type === 'recheck')).agrees, true);
  const taken = join(net.folder, 'taken');
  const exported = net.ask('export', run, taken, '--hub', url, '--json', '--game', game_file);
  await exported.line(({ type }) => type === 'exported');
  assert.equal(readFileSync(join(taken, 'state.bin'), 'utf8'), String(kept));
  const no_model = net.ask('export', run, taken, '--hub', url, '--json', '--game', game_file, '--format', 'onnx');
  assert.match(JSON.stringify(await no_model.line((line) => 'error' in line)), /trains no model, so there is no onnx/);
  const refused = net.ask('export', run, taken, '--hub', url, '--json');
  assert.match(JSON.stringify(await refused.line((line) => 'error' in line)), /unknown-game/);
});

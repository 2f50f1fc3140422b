// A designer's game that throws, answers nonsense or loops for ever, on a real hub and with real devices: what each process says
// of it, how it ends, and that another run on the same hub goes on.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { exampleRules } from '../src/core/testing/example-events.ts';
import { readGameFile } from '../src/games/game-file.ts';
import { createGameRun } from '../src/owner/owner.ts';
import { createIdentity } from '../src/protocol/identity.ts';
import { type Network, network, untilStatus } from './network.ts';

const SOUND = join(import.meta.dirname, '..', 'examples', 'exploitable-game.ts');
const ROUNDS = 1000;

/** A file with the sound game under another name, and something that breaks. */
function broken(net: Network, name: string, change: string): string {
  const path = join(net.folder, `${name}.ts`);
  const from = JSON.stringify(pathToFileURL(SOUND).href);
  writeFileSync(
    path,
    `import { game as sound } from ${from};\nexport const game = { ...sound, name: '${name}', ${change} };\n`,
  );
  return path;
}

/** A run of a game whose file may loop in any part but those that begin a run. */
async function createRun(net: Network, url: string, name: string): Promise<string> {
  const game = { ...(await readGameFile(SOUND)), name };
  return createGameRun(url, createIdentity(), join(net.folder, 'cache'), {
    ...{ name, game, settings: {} },
    schedule: {
      ...{ rounds: ROUNDS, round_ms: 4000, judging_ms: 1000, min_workers: 1, checkpoint_every: 100 },
      rules: exampleRules({
        ...{ shares_per_round: 1000, halving_rounds: 0 },
        ...{ owner_permille: 0, workers_permille: 500, validators_permille: 500 },
      }),
    },
  });
}

const files = (...paths: string[]): string[] => paths.flatMap((path) => ['--game-file', path]);
const judge = ['--role', 'validator'];

test("a merge that throws stops its own run, a check that throws or answers nonsense only its validator's word", async (t) => {
  const net = network(t);
  const bad = broken(net, 'bad-merge', "merge() { throw new TypeError('boom'); }");
  const check = broken(net, 'bad-check', "async check({ round }) { if (round.number % 2) return 42; throw 'boom'; }");
  const { url, potluck: hub } = await net.hub(0, '--no-page', ...files(bad, check, SOUND));
  const [merging, judged, sound] = await Promise.all(
    ['bad-merge', 'bad-check', 'exploitable'].map((name) => createRun(net, url, name)),
  );
  net.joinTogether(url, 'worker m', '--run', merging, ...files(bad));
  const problem = await hub.line(({ type }) => type === 'problem');
  assert.match(
    String(problem.message),
    /the merge of round 0 failed: bad-merge\.merge: boom; the run stands still; .*potluck run end/,
  );

  net.joinTogether(url, 'worker c', '--run', judged, ...files(check));
  const validator = net.joinTogether(url, 'judge c', '--run', judged, ...files(check), ...judge);
  await validator.line(({ code, message }) => code === 'game-threw' && message === 'bad-check.check: boom');
  await validator.line(({ code, message }) => code === 'game-nonsense' && /^bad-check\.check: /.test(String(message)));
  const silent = await untilStatus(url, judged, ({ round }) => round >= 2);
  assert.equal(silent.peers.find(({ name }) => name === 'worker c')?.credit_amount, 0, 'merged without credit');

  net.joinTogether(url, 'worker s', '--run', sound, ...files(SOUND));
  await untilStatus(url, sound, ({ round }) => round >= 2);
  const stuck = await untilStatus(url, merging, () => true);
  assert.deepEqual([stuck.phase, stuck.round, /boom/.test(stuck.problem!)], ['merging', 0, true]);
  assert.equal(hub.lines.filter(({ type }) => type === 'problem').length, 1, 'told once');
  hub.process.kill('SIGTERM');
  assert.equal(await hub.ended, 0);
});

test('a loop that never gives way ends its own thread, which is said: the process and the other runs go on', async (t) => {
  const net = network(t);
  const check = broken(net, 'loop-check', 'async check() { await null; for (;;); }');
  const form = broken(net, 'loop-form', 'checkForm() { for (;;); }');
  const { url, potluck: hub } = await net.hub(0, '--no-page', '--game-seconds', '1', ...files(check, form));
  const [judged, formed] = await Promise.all(['loop-check', 'loop-form'].map((name) => createRun(net, url, name)));
  const validator = net.join(url, 'judge', '--run', judged, '--game-seconds', '1', ...files(check), ...judge);
  await untilStatus(url, judged, ({ peers }) => peers.some(({ role, present }) => role === 'validator' && present));
  net.joinTogether(url, 'worker c', '--run', judged, ...files(check));
  const late = await validator.line(({ code }) => code === 'game-late');
  const ended = 'has not given way for 1 s; its thread is ended, and what it was at is not done';
  assert.match(String(late.message), new RegExp(`^loop-check: check.*: ${ended}$`));
  await untilStatus(url, judged, ({ round }) => round >= 2);

  const worker = net.joinTogether(url, 'worker f', '--run', formed, ...files(form));
  const refused = await worker.line(({ type }) => type === 'refused');
  assert.match(String(refused.message), new RegExp(`loop-form: checkForm: ${ended}`));
  const { round } = await untilStatus(url, judged, () => true);
  await untilStatus(url, judged, (status) => status.round > round);
  assert.equal((await untilStatus(url, formed, () => true)).round, 0);
  for (const process of [hub, validator]) {
    process.process.kill('SIGTERM');
    assert.equal(await process.ended, 0);
    assert.equal(process.stderr(), '');
  }
});

test('a file that loops or waits for ever when it is loaded is told in one line', async (t) => {
  const net = network(t);
  // What never comes is noticed at once, on a busy machine after the thread has started.
  for (const [text, seconds, message] of [
    ['for (;;);', '3', /loading: has not given way for 5 s$/],
    ['await new Promise(() => {});', '300', /loading: it awaits what never comes/],
  ] as const) {
    const path = join(net.folder, 'top.ts');
    writeFileSync(path, `${text}\nexport const game = {};\n`);
    const played = net.start('play', path, '--call-seconds', seconds, '--json');
    const { error } = await played.line((line) => 'error' in line);
    assert.match((error as { message: string }).message, message);
    assert.equal(await played.ended, 1);
    assert.equal(played.stderr(), '');
  }
});

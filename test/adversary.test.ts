// Strangers who lie, as real processes: a noise worker says loudly what it is, earns nothing, and the run goes on without it;
// and a game that no other file knows runs over the real hub.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256Hex } from '../src/protocol/hash.ts';
import { hubHere, tinyRun } from './hub-here.ts';
import { network, untilStatus } from './network.ts';

const credit = (status: Awaited<ReturnType<typeof untilStatus>>, name: string): number =>
  status.peers.find((peer) => peer.name === name)?.credit_amount ?? -1;

test('a noise worker earns nothing, and the run goes on', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const run = await tinyRun(url, { rounds: 2, steps: 8, min_workers: 2 });
  const vera = net.joinTogether(url, 'vera', '--role', 'validator');
  // A round without a validator is merged without a verdict.
  await untilStatus(url, run, ({ peers }) => peers.some(({ role }) => role === 'validator'));
  const liar = net.joinTogether(url, 'mallory', '--adversary', 'noise');
  const peers = [net.joinTogether(url, 'ada'), vera];
  const said = await liar.line(({ type }) => type === 'adversary');
  const handed = await Promise.all(
    [liar, peers[0]].map((peer) => peer.line(({ type, round }) => type === 'accepted' && round === 1)),
  );
  assert.deepEqual([said.name, said.does], ['noise', 'hands in random work and claims a whole round']);
  assert.deepEqual(await Promise.all(peers.map((peer) => peer.ended)), [0, 0]);
  const status = await untilStatus(url, run, (s) => s.phase === 'finished');
  assert.ok(credit(status, 'ada') > 0);
  assert.equal(credit(status, 'ADVERSARY noise: mallory'), 0);
  assert.ok(status.peers.find(({ name }) => name.endsWith('mallory'))!.refused_submissions > 0);

  // Anybody can look again: the refused work really is made up, the accepted work really was done, its first round included.
  const recheck = (submission: unknown, ...more: string[]) =>
    net.ask('recheck', String(submission).slice(0, 16), '--hub', url, '--json', ...more);
  const again = [recheck(handed[0].submission), recheck(handed[1].submission, '--runtime', 'native')];
  const [refused, accepted] = await Promise.all(again.map((potluck) => potluck.line(() => true)));
  assert.deepEqual([refused.accepted, refused.agrees, refused.by], [false, true, 'wasm']);
  assert.deepEqual([accepted.accepted, accepted.agrees, accepted.by], [true, true, 'native-cpu']);
  const rounds = accepted.rounds as { round: number; verdict: { evidence: { repeated: { update: number } } } }[];
  assert.deepEqual(
    rounds.map(({ round }) => round),
    [0, 1],
  );
  for (const { verdict } of rounds) assert.ok(verdict.evidence.repeated.update < 0.01);
  assert.deepEqual(await Promise.all(again.map((potluck) => potluck.ended)), [0, 0]);
});

test('a copier hands in what it has seen of others, and earns nothing by it', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  // Its first round has nothing to copy, and lasts as long as it may.
  const run = await tinyRun(url, { rounds: 2, steps: 8, min_workers: 2, round_seconds: 12 });
  const vera = net.joinTogether(url, 'vera', '--role', 'validator');
  const liar = net.joinTogether(url, 'mallory', '--adversary', 'copier');
  await untilStatus(url, run, ({ peers }) => peers.length === 2);
  const ada = net.joinTogether(url, 'ada');
  await liar.line(({ type }) => type === 'accepted');
  const { code } = await vera.line(({ type, accepted }) => type === 'judged' && accepted === false);
  assert.equal(code, 'copied');
  assert.equal(await ada.ended, 0);
  const status = await untilStatus(url, run, ({ phase }) => phase === 'finished');
  assert.deepEqual([credit(status, 'ADVERSARY copier: mallory'), credit(status, 'ada') > 0], [0, true]);
});

test('a judge that refuses honest work is contradicted by anybody who looks again', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const run = await tinyRun(url, { rounds: 1, steps: 6 });
  net.joinTogether(url, 'mallory', '--role', 'validator', '--adversary', 'contrarian');
  await untilStatus(url, run, ({ peers }) => peers.some(({ role, present }) => role === 'validator' && present));
  const ada = net.joinTogether(url, 'ada');
  const { submission } = await ada.line(({ type }) => type === 'accepted');
  await untilStatus(url, run, ({ peers }) => peers.some(({ refused_submissions }) => refused_submissions > 0));
  const recheck = net.ask('recheck', String(submission), '--hub', url, '--runtime', 'native', '--json');
  const { accepted, agrees } = await recheck.line(() => true);
  assert.deepEqual([accepted, agrees], [true, false]);
  assert.equal(await recheck.ended, 1);
});

test("a game of somebody's own runs over the hub: its file is named, nothing else knows it", async (t) => {
  const net = network(t);
  const game = join(net.folder, 'own.ts');
  const chain = JSON.stringify(join(import.meta.dirname, '..', 'src', 'games', 'addition-chain.ts'));
  writeFileSync(game, `import { game as chain } from ${chain};\nexport const game = { ...chain, name: 'my-own' };\n`);
  const params = join(net.folder, 'params.json');
  writeFileSync(params, '{ "bits": 12, "tries": 1000 }');
  const { url } = await net.hub(0, '--no-page', '--game-file', game);
  // Who is out of luck hands in nothing, and the round goes on to its end.
  const rounds = ['--rounds', '3', '--round-seconds', '5'];
  const create = ['run', 'create', '--hub', url, '--game', game, '--params', params, ...rounds, '--json'];
  const { run } = await net.ask(...create).line(({ type }) => type === 'created');
  const own = ['--game-file', game];
  const vera = net.joinTogether(url, 'vera', '--role', 'validator', ...own);
  // Rounds without a validator are merged without a verdict, and pay nobody.
  await untilStatus(url, String(run), ({ peers }) => peers.some(({ name, present }) => name === 'vera' && present));
  const peers = [net.joinTogether(url, 'ada', ...own), vera];
  assert.deepEqual(await Promise.all(peers.map((peer) => peer.ended)), [0, 0]);
  const status = await untilStatus(url, String(run), (s) => s.phase === 'finished');
  assert.ok(credit(status, 'ada') > 0);

  await t.test(
    'an audit computes its states where it has the file, on threads too, and says so where it has not',
    async () => {
      const audit = async (...flags: string[]) => {
        const { verdict, models, unchecked } = await net.ask('audit', url, '--json', ...flags).line(() => true);
        return { verdict, models, unchecked: String(unchecked) };
      };
      for (const threads of ['1', '2']) {
        const known = await audit('--threads', threads, ...own);
        assert.deepEqual([known.verdict, known.models], ['true', { recomputed: 3, submissions: 3 }]);
        assert.equal(known.unchecked, '');
      }
      const unknown = await audit();
      assert.deepEqual([unknown.verdict, unknown.models], ['true', { recomputed: 0, submissions: 0 }]);
      assert.match(unknown.unchecked, /no game "my-own": its file is needed \(potluck audit --game-file\)/);
      const wrong = net.ask('audit', url, '--json', '--game-file', params);
      assert.match(JSON.stringify(await wrong.line(() => true)), /bad-game-file/);
    },
  );

  await t.test('export writes its state, whose hash is the one in the log, and needs the file for it', async () => {
    const target = join(net.folder, 'taken');
    const refused = await net.ask('export', String(run), target, '--hub', url, '--json').line(() => true);
    assert.match(JSON.stringify(refused), /no game \\"my-own\\": its file is needed \(--game-file\)/);
    const taken = await net.ask('export', String(run), target, '--hub', url, '--json', ...own).line(() => true);
    assert.deepEqual([taken.game, taken.merged_rounds, taken.state], ['my-own', 3, status.model]);
    assert.equal(sha256Hex(new Uint8Array(readFileSync(join(target, 'state.bin')))), status.model);
  });
});

test('an adversary that is none, or that plays another role, is refused in one line', async (t) => {
  const net = network(t);
  for (const [name, code] of [
    ['nobody', 'bad-options'],
    ['lazy', 'bad-argument'],
  ]) {
    const potluck = net.ask('join', 'http://127.0.0.1:1', '--alone', '--adversary', name, '--json');
    const { error } = (await potluck.line((line) => 'error' in line)) as { error: { code: string } };
    assert.equal(error.code, code);
    assert.equal(await potluck.ended, 1);
  }
});

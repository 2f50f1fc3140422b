// A run's owner at the command line, with real processes: pauses the run, lets it go on, ends it, and is told what is refused.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPublicLog } from '#public-log-open';
import { holdingsOf } from '../src/audit/shares.ts';
import { explainSubmission } from '../src/audit/why.ts';
import { sentencesOf } from '../src/audit/why-sentences.ts';
import { decodeEvent } from '../src/core/codec.ts';
import type { EventBody } from '../src/core/events.ts';
import { CORE_LIMITS } from '../src/core/limits.ts';
import { apply } from '../src/core/reduce.ts';
import { initialState } from '../src/core/state.ts';
import { drawnBy } from '../src/core/testing/example-draw.ts';
import { EXAMPLE_WORDS, exampleRules, exampleVerdict, sealFor } from '../src/core/testing/example-events.ts';
import { loadGame } from '../src/games/registry.ts';
import { openSqliteLogStore } from '../src/ledger/sqlite-log-store.ts';
import { openTransparencyLog } from '../src/ledger/transparency-log.ts';
import { makeCertificate } from '../src/owner/certificate-make.ts';
import { createGameRun } from '../src/owner/owner.ts';
import { sayOfRun } from '../src/owner/run-life.ts';
import { trainingFor } from '../src/owner/run-settings.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import { createIdentity, type Identity } from '../src/protocol/identity.ts';
import { loadIdentity, loadOrCreateIdentity } from '../src/protocol/identity-file.ts';
import { auditAt } from './forged-log.ts';
import { hubHere } from './hub-here.ts';
import { type Line, type Network, network, type Told, untilStatus } from './network.ts';

/** Runs a command that must succeed; resolves with its last line. */
async function said(net: Network, ...args: string[]): Promise<Line> {
  const potluck = net.ask(...args, '--json');
  assert.equal(await potluck.ended, 0, `potluck ${args.join(' ')}: ${potluck.stdout()}`);
  return potluck.lines.at(-1)!;
}

/** Runs a command that must fail with 1; resolves with its one line. */
async function refused(net: Network, ...args: string[]): Promise<string> {
  const potluck = net.ask(...args);
  assert.equal(await potluck.ended, 1, `potluck ${args.join(' ')}`);
  assert.equal(potluck.stdout(), '');
  const lines = potluck.stderr().split('\n').filter(Boolean);
  assert.equal(lines.length, 1, potluck.stderr());
  return lines[0];
}

/** Resolves when the peer has nothing to do, told after `lines` lines. */
const waits = (peer: Told, lines: number): Promise<Line> =>
  peer.line((line) => peer.lines.indexOf(line) >= lines && stateOf(line) === 'waiting');
const stateOf = ({ progress }: Line): unknown => (progress as { state?: string } | undefined)?.state;

test('paused, its devices wait; resumed, they go on; ended, they leave, and everything that was merged is still true', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  // A round is over when its time is: whatever is said of the run is said in the middle of one.
  const training = ['--steps', '100000', '--round-seconds', '1'];
  const run = await net.createRun(url, '--rounds', '500', ...training);
  const [ada, vera] = [net.joinTogether(url, 'ada'), net.joinTogether(url, 'vera', '--role', 'validator')];
  const about = [run.slice(0, 10), '--hub', url];
  await untilStatus(url, run, (s) => s.round >= 1 && s.metrics[0].last !== null);
  const owner = await loadIdentity(join(net.folder, 'home', 'owner.key'));
  const says = (word: Parameters<typeof sayOfRun>[3], who = owner) => sayOfRun(url, who, run.slice(0, 10), word);
  await assert.rejects(says('run.resumed'), { code: 'refused', message: /expected a paused run, it is \w+/ });
  for (const word of ['run.paused', 'run.ended'] as const) {
    await assert.rejects(says(word, createIdentity()), { code: 'not-the-owner', message: /only the owner \w+ can/ });
  }

  const heard = ada.lines.length;
  const paused = await said(net, 'run', 'pause', ...about);
  assert.deepEqual([paused.type, paused.run, paused.rounds], ['paused', run, 500]);
  const at = await untilStatus(url, run, (s) => s.phase === 'paused');
  await waits(ada, heard);
  // The open round was merged first: what was handed in, and what ada hands in when it hears of it.
  const first = paused.merges_first;
  const in_time = ada.lines.some((line) => line.type === 'accepted' && line.round === first);
  const merged_rounds = first === null ? paused.merged_rounds : Number(first) + Number(in_time);
  assert.deepEqual([at.submitted, at.round], [0, merged_rounds]);
  assert.match(await refused(net, 'run', 'pause', ...about), /the run is paused already/);

  const resumed = await said(net, 'run', 'resume', ...about);
  assert.deepEqual([resumed.type, resumed.merged_rounds], ['resumed', at.round]);
  await untilStatus(url, run, (s) => s.round > at.round);

  const end = net.ask('run', 'end', ...about);
  assert.equal(await end.ended, 0, end.stderr());
  assert.match(
    end.stdout(),
    /^Run \w{12} \(a run\) (has ended after \d+ of 500 rounds, for good|ends for good as soon as round \d+ is merged: .*paid first): event \w{64}\n$/,
  );
  assert.deepEqual(await Promise.all([ada.ended, vera.ended]), [0, 0]);
  const over = await untilStatus(url, run, (s) => s.phase === 'finished');
  assert.ok(over.round < 500);
  for (const word of ['run.paused', 'run.resumed', 'run.ended'] as const) {
    await assert.rejects(says(word), { code: 'refused', message: 'the run is finished' });
  }

  const log = await openPublicLog(url);
  const shares = await holdingsOf(log, run);
  log.close();
  assert.deepEqual([shares.to_come, shares.merged_rounds, shares.phase], [0, over.round, 'finished']);
  assert.ok(shares.holders.length > 0 && shares.holders.every(({ withheld }) => withheld === 0));
  const audit = net.ask('audit', url, '--json');
  assert.equal(await audit.ended, 0, audit.stdout());
  const target = join(net.folder, 'model');
  await said(net, 'export', run.slice(0, 10), target, '--hub', url);
  assert.ok(existsSync(join(target, 'model.safetensors')));
  // The model is none that is kept whole, and yet what its last rounds paid can be proved offline.
  const { certificate } = await makeCertificate(url, { run, holder: owner.id, evidence: 10 });
  assert.deepEqual([certificate.merged_rounds, certificate.model], [over.round, over.model]);
});

test('an owner with too many unfinished runs is told so before the text is read, and what to do', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const owner = await loadOrCreateIdentity(join(net.folder, 'home', 'owner.key'));
  const game = await loadGame('addition-chain');
  const { schedule } = trainingFor({
    ...{ rounds: 5, steps: 5, batch: 1, context: 2, min_workers: 1, learning_rate: 1, round_seconds: 1 },
  });
  const create = (name: string) =>
    createGameRun(url, owner, join(net.folder, 'cache'), { name, game, settings: {}, schedule });
  const runs: string[] = [];
  for (let i = 0; i < CORE_LIMITS.unfinished_runs_per_owner; i++) runs.push(await create(`run ${i}`));
  const message = await refused(net, 'run', 'create', '--hub', url, '--data', join(net.folder, 'text.txt'));
  assert.match(message, /at most 8 unfinished runs on a hub; end one of them first with "potluck run end RUN"$/);
  await assert.rejects(create('one more'), { code: 'refused', details: { refusal: 'too-many-runs' } });
  await said(net, 'run', 'end', runs[3].slice(0, 16), '--hub', url);
  await create('one more');
});

test('whoever had handed in when the run ended is told so, and the audit knows what became of it', async (t) => {
  const { folder } = network(t);
  const [hub, owner, ada, vera] = Array.from({ length: 4 }, () => createIdentity());
  const log: Uint8Array[] = [];
  const state = initialState(hub.id);
  const say = async (who: Identity, body: EventBody): Promise<string> => {
    const bytes = await signEvent(who, body);
    const event = decodeEvent(bytes);
    assert.equal(apply(state, event), null);
    log.push(bytes);
    return event.id;
  };
  const blob = 'b'.repeat(64);
  const emission = { shares_per_round: 1000, halving_rounds: 0, owner_permille: 200, workers_permille: 400 };
  const run = await say(owner, {
    ...{
      type: 'run.created',
      version: 3,
      ...EXAMPLE_WORDS,
      name: 'ended',
      game: 'tally',
      params: blob,
      model: blob,
      rounds: 5,
    },
    ...{ round_ms: 60_000, judging_ms: 60_000, min_workers: 1, checkpoint_every: 5, created_ms: 1 },
    rules: exampleRules({ ...emission, validators_permille: 400 }),
  });
  const base = { version: 1, run } as const;
  const place = { ...base, round: 0, attempt: 0 };
  await say(vera, { type: 'peer.joined', ...base, session: 0, role: 'validator', name: 'vera', runtime: 'none' });
  await say(ada, { type: 'peer.joined', ...base, session: 0, role: 'worker', name: 'ada', runtime: 'none' });
  await say(hub, { type: 'round.opened', ...place });
  const sizes = { size_bytes: 1, amount: 10, numbers: { steps: 1, loss_micro: 1 } };
  const work = await say(ada, {
    type: 'work.submitted',
    ...place,
    version: 2,
    base: blob,
    work: blob,
    pledge: blob,
    ...sizes,
  });
  await say(hub, drawnBy(hub, state.runs.get(run)!));
  await say(vera, sealFor(vera.id, exampleVerdict(run, work, 10)));
  await say(vera, exampleVerdict(run, work, 10));
  assert.equal(state.runs.get(run)!.phase, 'merging');
  await say(owner, { type: 'run.ended', ...place });
  const store = openSqliteLogStore(join(folder, 'hub.sqlite'));
  const written = openTransparencyLog(store, hub);
  await written.append(log);
  await written.checkpoint();
  await store.close();

  const opened = await openPublicLog(folder);
  t.after(() => opened.close());
  const explained = await explainSubmission(opened, work);
  assert.deepEqual(explained.decision, { kind: 'ended', index: log.length - 1 });
  assert.match(sentencesOf(explained).join('\n'), /The owner ended the run[\s\S]*so nothing was paid/);
  const report = await auditAt(folder, { models: false });
  assert.deepEqual([report.events, report.runs], [log.length, 1]);
});

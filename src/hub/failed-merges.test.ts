// A merge that fails: one of a game that breaks stops its own run and no other, without a word in the log; one for want of a blob is tried again.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { z } from 'zod';
import type { EventBody } from '../core/events.ts';
import { EXAMPLE_WORDS, exampleRules } from '../core/testing/example-events.ts';
import type { Game } from '../games/game.ts';
import { guardGame } from '../games/guard.ts';
import { type BlobStore, createMemoryBlobStore } from '../ledger/blob-store.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { signEvent } from '../protocol/envelope.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { CONNECTION_LIMITS } from './connection.ts';
import { openHubCore } from './hub-core.ts';

const HOUR_MS = 3_600_000;
const utf8 = new TextEncoder();

/** Adds up the lengths of what is handed in. */
const sum: Game<unknown, null, number> = {
  ...{ name: 'sum', params: z.strictObject({}), task: () => null },
  ...{ perform: async () => null, check: () => Promise.reject(new Error('nobody judges here')) },
  ...EXAMPLE_WORDS,
  evaluate: async () => ({ loss_micro: 0 }),
  merge: (_, state: number, accepted) => accepted.reduce((all, { work }) => all + work.length, state),
  encodeState: (_, state: number) => utf8.encode(String(state)),
  decodeState: (_, bytes) => Number(new TextDecoder().decode(bytes)),
  ...{ checkForm: () => {}, sizes: () => ({ max_bytes: 9, dense_bytes: 9 }) },
};

/** A hub on which anybody may do anything; `broken` is a game whose merge is the test's. */
async function openWith(merge: (typeof sum)['merge'], blobs: BlobStore = createMemoryBlobStore()) {
  const clock = handClock(1_000_000);
  const { pass } = clock;
  const identity = createIdentity();
  const events: string[] = [];
  const problems: string[] = [];
  const broken = guardGame({ ...sum, name: 'broken', merge });
  const hubCore = await openHubCore({
    ...{ identity, blobs, clock, randomBytes },
    // Its workers send their events without a connection.
    limits: { ...CONNECTION_LIMITS, lost_after_ms: Number.MAX_SAFE_INTEGER },
    log: openTransparencyLog(createMemoryLogStore(), identity),
    loadGame: async (name) => (name === 'broken' ? broken : sum),
    onEvent: ({ body }) => events.push(body.type),
    onError: (error, where) => problems.push(`${where}: ${(error as Error).message}`),
  });
  hubCore.begin();
  const { state } = hubCore.sequencer;
  const send = async (author: Identity, body: EventBody): Promise<string> => {
    const { id } = await hubCore.services.submit(await signEvent(author, body), null);
    await pass(0);
    return id;
  };
  /** A run with one worker. */
  const start = async (game: string) => {
    const [owner, worker] = [createIdentity(), createIdentity()];
    const run = await send(owner, {
      ...{
        type: 'run.created',
        version: 3,
        ...EXAMPLE_WORDS,
        name: game,
        game,
        rounds: 9,
        created_ms: 0,
        checkpoint_every: 100,
      },
      ...{ params: await blobs.put(utf8.encode('{}')), model: await blobs.put(utf8.encode('0')) },
      ...{ round_ms: 60_000, judging_ms: 1000, min_workers: 1 },
      rules: exampleRules({
        ...{ shares_per_round: 1000, halving_rounds: 0 },
        ...{ owner_permille: 0, workers_permille: 500, validators_permille: 500 },
      }),
    });
    const join = (session: number) =>
      send(worker, {
        ...{ type: 'peer.joined', version: 1, run, session, role: 'worker', name: game, runtime: 'native-cpu' },
      });
    await join(0);
    const handIn = async (text: string): Promise<void> => {
      const { round, attempt, model: base } = state.runs.get(run)!;
      const work = await blobs.put(utf8.encode(text));
      await send(worker, {
        ...{ type: 'work.submitted', version: 2, run, round, attempt, base, work, size_bytes: text.length },
        ...{ amount: 1, numbers: { steps: 1, loss_micro: 0 }, pledge: sha256Hex(utf8.encode('nothing')) },
      });
      await pass(1000);
    };
    const leave = () =>
      send(worker, { type: 'peer.left', version: 1, run, peer: worker.id, session: 0, reason: 'goodbye' });
    const comeBack = () => join(1);
    const status = () => hubCore.services.statuses.fresh().find((one) => one.run === run)!;
    const end = () => {
      const { round, attempt } = state.runs.get(run)!;
      return send(owner, { type: 'run.ended', version: 1, run, round, attempt });
    };
    return { handIn, leave, comeBack, end, status };
  };
  return { hubCore, pass, events, problems, start };
}

test('a game whose merge throws stops its own run: told once, no tick, no try but one in an hour; the others go on', async () => {
  let tries = 0;
  const { hubCore, pass, events, problems, start } = await openWith(() => {
    tries++;
    throw new TypeError('boom');
  });
  const broken = await start('broken');
  const sound = await start('sum');
  await broken.handIn('abc');
  assert.deepEqual([broken.status().phase, tries, problems.length], ['merging', 1, 1]);
  assert.match(
    problems[0],
    /^round 0 of run [0-9a-f]{64}: the merge of round 0 failed: broken\.merge: boom; the run stands still/,
  );
  assert.match(problems[0], /potluck run end [0-9a-f]{12} --drop$/);
  assert.match(broken.status().problem!, /broken\.merge: boom/);

  for (const text of ['de', 'fgh', 'i']) await sound.handIn(text);
  assert.deepEqual([sound.status().round, sound.status().problem, tries], [3, null, 1], 'events do not try it again');

  await sound.leave();
  await pass(120_000);
  const before = events.length;
  await pass(HOUR_MS / 2);
  assert.deepEqual([events.length, tries], [before, 1], 'nobody works: the log stands still');
  await pass(HOUR_MS / 2);
  assert.deepEqual([tries, problems.length, broken.status().phase], [2, 1, 'merging'], 'tried again, not told again');
  await sound.comeBack();
  await sound.handIn('jk');
  assert.equal(sound.status().round, 4, 'the clock goes on where somebody works');
  await broken.end();
  await pass(HOUR_MS + 1000);
  assert.deepEqual([broken.status().phase, broken.status().problem, tries], ['finished', null, 2]);
  await hubCore.close();
});

test('a merge for want of a blob is tried again every few seconds, told once, and goes on when the blob is there', async () => {
  const blobs = createMemoryBlobStore();
  let lost = true;
  const asked: string[] = [];
  const get = async (hash: string): Promise<Uint8Array | null> => {
    const bytes = await blobs.get(hash);
    if (!lost || bytes?.length !== 3) return bytes;
    asked.push(hash);
    return asked.length === 1 ? bytes : null; // there when it is handed in, gone when it is merged
  };
  const { hubCore, pass, events, problems, start } = await openWith(sum.merge, { ...blobs, get });
  const run = await start('broken');
  await run.handIn('abc');
  assert.equal(run.status().phase, 'merging');
  assert.match(problems[0], /expected blob [0-9a-f]{64} .*; it is tried again every 5 seconds$/);
  const before = events.length;
  await pass(20_000);
  assert.deepEqual([asked.length, problems.length, events.length], [6, 1, before]);
  lost = false;
  await pass(5000);
  assert.deepEqual([run.status().round, run.status().problem], [1, null]);
  await hubCore.close();
});

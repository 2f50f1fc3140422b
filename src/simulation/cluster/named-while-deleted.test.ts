// A blob that nothing has named for days is deleted by the process that leads while a device at another process names it: the event is refused, or the
// blob stays. Drawn times decide who comes first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { exampleRules } from '../../core/testing/example-events.ts';
import { wordsOfGame } from '../../games/parts.ts';
import { type ClusterProcess, openProcess, type Shared, shared } from '../../hub/cluster/testing/processes.ts';
import { memoryObjects } from '../../ledger/testing/memory-objects.ts';
import { signEvent } from '../../protocol/envelope.ts';
import { utf8 } from '../../protocol/hash.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { seededRandom } from '../../protocol/random.ts';
import { emptyTally, tally } from '../tally-game.ts';

/** A hub has at most 64 runs. */
const HISTORIES = 60;
const LATEST_MS = 6;
const EMISSION = {
  ...{ shares_per_round: 1001, halving_rounds: 0 },
  ...{ owner_permille: 100, workers_permille: 600, validators_permille: 300 },
};

/** A hub of two processes whose blobs and journal answer after a drawn time. */
async function slowHub(seed: number) {
  const random = seededRandom('named while deleted', seed);
  const late = async <T>(answer: Promise<T>): Promise<T> => {
    await pause(random.below(LATEST_MS));
    const said = await answer;
    await pause(random.below(LATEST_MS));
    return said;
  };
  const whole = shared();
  const { blobs } = whole;
  const slow: Shared = {
    ...whole,
    blobs: {
      ...blobs,
      has: (hash) => late(blobs.has(hash)),
      sizeOf: (hash) => late(blobs.sizeOf(hash)),
      get: (hash) => late(blobs.get(hash)),
      async delete(hash) {
        await pause(random.below(LATEST_MS));
        return late(blobs.delete(hash));
      },
    },
  };
  const kept = memoryObjects(whole.objects);
  const objects = { ...kept, create: (name: string, bytes: Uint8Array) => late(kept.create(name, bytes)) };
  const options = { loadGame: async () => tally, objects };
  const leader = await openProcess(slow, 'leader', options);
  while (!leader.core.sequencer.leads) await pause(2);
  const front = await openProcess(slow, 'front', { ...options, roles: ['front'] });
  return { hub: slow, blobs, random, leader, front };
}

/** A run that names blobs which are there and old. */
async function runOver({ blobs }: Shared, number: number): Promise<{ event: Uint8Array; named: readonly string[] }> {
  const params = { steps: 3, tokens_per_step: number + 1 };
  const named = [
    await blobs.put(utf8(JSON.stringify(params))),
    await blobs.put(tally.encodeState(params, emptyTally)),
  ] as const;
  const event = await signEvent(createIdentity(), {
    ...{ type: 'run.created', version: 3, ...wordsOfGame(tally), name: `run ${number}`, game: 'tally' },
    ...{ rules: exampleRules(EMISSION), created_ms: 0, params: named[0], model: named[1] },
    ...{ rounds: 10, round_ms: 1000, judging_ms: 400, min_workers: 1, checkpoint_every: 3 },
  });
  return { event, named };
}

/** What the leader's sweep does with a blob that it has found to be old, and named by nothing. */
async function swept({ core }: ClusterProcess, { blobs }: Shared, hash: string): Promise<void> {
  const watch = core.unnamed.watch();
  const { runs } = core.sequencer.state;
  try {
    for (const { spec } of runs.values()) if (spec.params === hash || spec.model === hash) return;
    await core.unnamed.remove(hash, async () => {
      if (!watch.named.has(hash) && (await blobs.has(hash))) await blobs.delete(hash);
    });
  } finally {
    watch.end();
  }
}

test('what is in the log has its blobs, whoever was first', async (t) => {
  const { hub, blobs, random, leader, front } = await slowHub(1);
  t.after(async () => {
    await front.close();
    await leader.close();
  });
  const ends = { taken: 0, refused: 0, kept: 0 };
  for (let number = 0; number < HISTORIES; number++) {
    const { event, named } = await runOver(hub, number);
    const after = async (steps: () => Promise<unknown>): Promise<unknown> => {
      await pause(random.below(8 * LATEST_MS));
      return steps();
    };
    const [answer] = await Promise.allSettled([
      after(() => front.core.services.submit(event, null)),
      after(() => swept(leader, hub, named[random.below(2)])),
    ]);
    const all = (await Promise.all(named.map(blobs.has))).every(Boolean);
    if (answer.status === 'fulfilled') {
      assert.ok(all, `history ${number}: the log names a blob that is gone`);
      ends.taken++;
    } else {
      assert.equal(answer.reason.code, 'missing-blob', String(answer.reason));
      ends[all ? 'kept' : 'refused']++;
      // Whoever uploads it again is not refused for what was.
      await runOver(hub, number);
      await front.core.services.submit(event, null);
    }
  }
  assert.ok(ends.taken > 5 && ends.refused > 5, JSON.stringify(ends));
  t.diagnostic(JSON.stringify(ends));
});

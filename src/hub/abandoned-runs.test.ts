// Strangers who fill their places with runs that nobody is in do not keep them: who comes later gets one, and the log says why.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { beforeEach, test } from 'node:test';
import { z } from 'zod';
import type { EventBody } from '../core/events.ts';
import { EXAMPLE_WORDS, exampleRules } from '../core/testing/example-events.ts';
import { created, History, HUB, joined, left } from '../core/testing/example-history.ts';
import type { AnyGame } from '../games/game.ts';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { signEvent } from '../protocol/envelope.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { type AbandonedRuns, openAbandonedRuns } from './abandoned-runs.ts';
import { CONNECTION_LIMITS } from './connection.ts';
import { openHubCore } from './hub-core.ts';
import { openLogClock } from './log-clock.ts';
import { openRunPolicy, type RunPolicy, STRANGERS_RUNS } from './run-policy.ts';

const HOUR_MS = 3_600_000;
const key = (what: string): string => sha256Hex(new TextEncoder().encode(what));
const LATE = key('who comes late');
const FROM = '203.0.113.9';

let h: History;
let clock: ReturnType<typeof handClock>;
let policy: RunPolicy;
let abandoned: AbandonedRuns;
let written: EventBody[];
let runs: string[];

/** Six addresses have filled the places of strangers, a minute after the hub was opened; nobody is in any of the runs. */
beforeEach(() => {
  h = new History();
  clock = handClock(1_000_000);
  policy = openRunPolicy('limited', new Set());
  written = [];
  const write = async (body: EventBody | (() => EventBody)) => {
    const said = typeof body === 'function' ? body() : body;
    h.happen(HUB, said);
    written.push(said);
    return { index: 0 } as never;
  };
  const time = openLogClock(0, clock);
  abandoned = openAbandonedRuns({ state: h.state, write }, policy, { clock, time, onError: assert.ifError });
  runs = Array.from({ length: STRANGERS_RUNS.together }, (_, i) => create(key(`owner ${i >> 2}`), `address ${i >> 3}`));
  assert.equal(new Set(runs.map((_, i) => i >> 3)).size, 6);
});

function create(owner: string, address: string): string {
  policy.check(owner, address, h.state, abandoned.now_ms());
  const id = key(`run ${h.state.runs.size}`);
  h.happen(owner, created(), id);
  policy.created(id, address, h.state);
  return id;
}
const inRun = (body: EventBody, run: string): EventBody => ({ ...body, run }) as EventBody;
const refused = (): void => {
  assert.throws(() => create(LATE, FROM), { code: 'refused', details: { refusal: 'too-many-runs' } });
  abandoned.wanted();
};

test('an hour after somebody found the places full, the run that was empty for the longest makes room for one', async () => {
  refused();
  assert.deepEqual(
    written.map(({ type }) => type),
    ['tick'],
    'an idle log does not say since when runs are empty',
  );
  refused();
  assert.equal(written.length, 1, 'however many ask');
  h.happen(LATE, inRun(joined(), runs[0]));
  clock.move(HOUR_MS - 2);
  await abandoned.makeRoom(LATE, FROM);
  refused();
  h.happen(LATE, inRun(left(LATE), runs[0]));
  clock.move(2);
  assert.equal(policy.refusal(LATE, FROM, h.state, abandoned.now_ms()), null, 'also before its text goes up');
  await Promise.all([abandoned.makeRoom(LATE, FROM), abandoned.makeRoom(LATE, FROM)]);
  create(LATE, FROM);
  const over = [...h.state.runs.values()].filter(({ phase }) => phase === 'finished').map(({ id }) => id);
  assert.deepEqual(over, [runs[1]], 'one, and not that which somebody was in');
});

test('nobody makes room while there is some, nor for whoever has enough', async () => {
  refused();
  clock.move(HOUR_MS + 1);
  await abandoned.makeRoom(key('owner 0'), 'address 0');
  assert.equal(h.state.runs.get(runs[0])!.phase, 'finished', 'its own');
  await abandoned.makeRoom(LATE, FROM);
  assert.equal(written.filter(({ type }) => type === 'run.ended').length, 1);
});

test('a hub that was started again gives those who were here before an hour to come back', async () => {
  refused();
  clock.move(90 * HOUR_MS);
  const write = () => assert.fail('nothing is written');
  const time = openLogClock(h.state.time_ms, clock);
  const again = openAbandonedRuns({ state: h.state, write }, policy, { clock, time, onError: assert.ifError });
  await again.makeRoom(LATE, FROM);
  assert.notEqual(policy.refusal(LATE, FROM, h.state, again.now_ms()), null);
});

const EMISSION = {
  ...{ shares_per_round: 9, halving_rounds: 0 },
  ...{ owner_permille: 0, workers_permille: 500, validators_permille: 500 },
};

test('a hub ends it when the next is created, and says in the log that it did', async () => {
  const [identity, owner] = [createIdentity(), createIdentity()];
  const [blobs, hubs_clock] = [createMemoryBlobStore(), handClock(1_000_000)];
  const form = { params: z.strictObject({}), checkForm() {}, decodeState: () => 0 };
  const game = { name: 'none', ...EXAMPLE_WORDS, ...form } as unknown as AnyGame;
  const events: string[] = [];
  const hubCore = await openHubCore({
    ...{ identity, blobs, clock: hubs_clock, randomBytes, runs: openRunPolicy('limited', new Set()) },
    limits: CONNECTION_LIMITS,
    log: openTransparencyLog(createMemoryLogStore(), identity),
    loadGame: async () => ({ ...game, sizes: () => ({ max_bytes: 9, dense_bytes: 9 }) }),
    onEvent: ({ author, body }) => void (author === identity.id && events.push(body.type)),
  });
  hubCore.begin();
  const create = async (name: string): Promise<string> => {
    const settings = { name, game: 'none', rounds: 9, created_ms: 0, checkpoint_every: 9, min_workers: 1 } as const;
    const content = {
      ...{ params: await blobs.put(Buffer.from('{}')), model: await blobs.put(Buffer.from('0')) },
      ...{ round_ms: 1000, judging_ms: 1000, rules: exampleRules(EMISSION) },
    };
    const bytes = await signEvent(owner, {
      type: 'run.created',
      version: 3,
      ...EXAMPLE_WORDS,
      ...settings,
      ...content,
    });
    return (await hubs_clock.run(hubCore.services.submit(bytes, FROM))).id;
  };
  const first = await create('0');
  for (let i = 1; i < STRANGERS_RUNS.of_account; i++) await create(`${i}`);
  await assert.rejects(create('one more'), { code: 'refused' });
  await hubs_clock.pass(2 * HOUR_MS);
  await create('one more');
  assert.equal(hubCore.sequencer.state.runs.get(first)!.phase, 'finished');
  assert.deepEqual(events, ['tick', 'tick', 'run.ended']);
  await hubs_clock.run(hubCore.close());
});

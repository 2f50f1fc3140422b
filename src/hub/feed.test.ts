// What an observer that follows is told: everything once, in messages that fit the wire, then only what changed; and history that a replay rebuilds.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decode, encode } from '@ipld/dag-cbor';
import type { LoggedEvent } from '../core/events.ts';
import type { StateMachine } from '../core/reduce.ts';
import { initialState, type NetworkState, type RunState } from '../core/state.ts';
import { EXAMPLE_WORDS } from '../core/testing/example-events.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { decodeFromHub } from '../protocol/from-hub.ts';
import type { Changes, PeerView, RunStatus } from '../protocol/messages.ts';
import { exampleStatus } from '../protocol/testing/example-views.ts';
import { openFeed } from './feed.ts';
import { openHistories } from './history.ts';
import { openSamples } from './samples.ts';
import { watchedBy } from './watched-machine.ts';

const RUN = 'a'.repeat(64);
const HASH = 'b'.repeat(64);

const peer = (number: number, steps = 0): PeerView => ({
  id: number.toString(16).padStart(64, '0'),
  name: `a device with a name of some length ${number}`,
  role: 'worker',
  runtime: 'native-cpu',
  present: true,
  credit_amount: 1_000_000,
  merged_submissions: 10,
  refused_submissions: 0,
  progress: { state: 'working', round: 3, amount: steps, amount_per_second: 3210.5, numbers: { steps } },
  bytes_up: 123_456,
  bytes_down: 654_321,
});

const status = (peers: PeerView[]): RunStatus =>
  exampleStatus({
    run: RUN,
    name: 'run',
    params: HASH,
    round: 3,
    rounds: 9,
    seed: HASH,
    model: HASH,
    owner: HASH,
    peers,
  });

/** Computed anew whenever it is asked for. */
const always = (fresh: () => RunStatus[]) => ({ fresh, recent: fresh });

/** What a page holds after these messages, each of which went over the wire. */
function follow(held: Map<string, PeerView>, messages: readonly Changes[]): Map<string, PeerView> {
  for (const message of messages) {
    const read = decodeFromHub(encodeMessage(message)) as Changes;
    if (read.whole) held.clear();
    for (const { peers } of read.peers) for (const view of peers) held.set(view.id, view);
  }
  return held;
}

describe('a feed', () => {
  test('tells a newcomer of twenty thousand peers in messages that fit, then only of those that changed', () => {
    const all = Array.from({ length: 20_000 }, (_, i) => peer(i));
    const feed = openFeed({
      statuses: always(() => [status(all)]),
      histories: openHistories(),
      samples: openSamples(() => initialState(HASH)),
      now_ms: () => 1,
      events: () => 7,
    });
    const snapshot = feed.snapshot();
    assert.ok(snapshot.length >= 20);
    assert.equal(snapshot.filter(({ whole }) => whole).length, 1);
    const held = follow(new Map(), snapshot);
    assert.deepEqual([...held.values()], all);

    feed.changes(); // what was never told of is told once more
    all[17] = peer(17, 5);
    all[400] = { ...peer(400), present: false, progress: null };
    const changes = feed.changes();
    assert.equal(changes.length, 1);
    assert.equal(changes[0].events, 7);
    assert.deepEqual(changes[0].peers, [{ run: RUN, peers: [all[17], all[400]] }]);
    assert.deepEqual([...follow(held, changes).values()], all);
    assert.deepEqual(feed.changes()[0].peers, []);
  });

  test('tells whoever comes between two changes of a peer that is again as it was', () => {
    let now = status([peer(1)]);
    const feed = openFeed({
      statuses: always(() => [now]),
      histories: openHistories(),
      samples: openSamples(() => initialState(HASH)),
      now_ms: () => 1,
      events: () => 1,
    });
    feed.changes();
    now = status([peer(1, 5)]);
    const held = follow(new Map(), feed.snapshot());
    now = status([peer(1)]);
    assert.deepEqual([...follow(held, feed.changes()).values()], [peer(1)]);
  });

  test('is made once for whoever comes while nothing has changed', () => {
    const runs = [status([peer(1)])];
    const source = {
      statuses: { fresh: () => runs, recent: () => runs },
      histories: openHistories(),
      samples: openSamples(() => initialState(HASH)),
      now_ms: () => 1,
      events: () => 1,
    };
    const feed = openFeed(source);
    const first = feed.snapshot();
    assert.equal(feed.snapshot(), first);
    feed.changes();
    assert.notEqual(feed.snapshot(), first, 'what the others have been told of since is in it');
  });

  test('many small runs share a message', () => {
    const runs = Array.from({ length: 40 }, (_, i) => ({
      ...status([peer(i)]),
      run: i.toString(16).padStart(64, '0'),
    }));
    const samples = openSamples(() => initialState(HASH));
    const histories = openHistories();
    const feed = openFeed({ statuses: always(() => runs), histories, samples, now_ms: () => 1, events: () => 0 });
    const snapshot = feed.snapshot();
    assert.equal(snapshot.length, 1);
    assert.equal(snapshot[0].peers.length, 40);
  });
});

describe('history', () => {
  /** A machine whose only effect is what the tests set. */
  const machine: StateMachine = { refusalOf: () => null, apply: () => null };

  function play(rounds: number) {
    const histories = openHistories();
    const watched = watchedBy(machine, [histories]);
    const run = {
      id: RUN,
      round: 0,
      spec: EXAMPLE_WORDS,
      ...{ rules: { validators: ['vera'] }, eligible: ['vera'] },
      peers: new Map(['x', 'y', 'z'].map((id) => [id, { consecutive_valid: id === 'z' ? 0 : 1 }])),
      merged_amount: 0,
      bytes_submitted: 0,
      submissions: new Map(),
    } as unknown as RunState;
    const state: NetworkState = initialState('c'.repeat(64));
    state.runs.set(RUN, run);
    const apply = (body: object) => watched.apply(state, { id: HASH, author: HASH, body } as LoggedEvent);
    for (let round = 0; round < rounds; round++) {
      const work = (id: string, amount: number, loss_micro: number) =>
        [id, { id, worker: id, verdicts: new Map(), first: null, body: { amount, numbers: { loss_micro } } }] as const;
      // No validator speaks, so the work of those with a record is taken: not that of z.
      run.submissions = new Map([
        work('x', 300, 3_000_000),
        work('y', 100, 1_000_000),
        work('z', 100, 9_000_000),
      ]) as unknown as RunState['submissions'];
      run.round = round + 1;
      run.merged_amount += 400;
      state.time_ms += 1000;
      apply({ type: 'round.merged', run: RUN, bundle: HASH });
      apply({ type: 'model.evaluated', run: RUN, measured: { loss_micro: 4_000_000 - round } });
    }
    return { histories, apply, run };
  }

  test('has the loss of the merged work by its amount, and the last measurement of each model', () => {
    const { histories, apply, run } = play(2);
    apply({ type: 'model.evaluated', run: RUN, measured: { loss_micro: 5 } });
    apply({ type: 'round.merged', run: RUN, bundle: null }); // nothing was merged: no point
    const { rounds, evaluations } = histories.of(RUN);
    assert.deepEqual(rounds.value, [2.5, 2.5]);
    assert.deepEqual(rounds.amount, [400, 800]);
    assert.deepEqual(evaluations.value, [4, 5e-6]);
    assert.deepEqual(evaluations.merged_rounds, [1, 2]);
    assert.deepEqual(histories.takeFresh(), [histories.of(RUN)]);
    assert.deepEqual(histories.takeFresh(), []);
    const restored = openHistories();
    restored.restore(decode(encode(histories.take())));
    assert.deepEqual(restored.of(RUN), histories.of(RUN));
    assert.deepEqual(restored.takeFresh(), []);
    run.round = 3;
    apply({ type: 'model.evaluated', run: RUN, measured: { loss_micro: 4 } });
    assert.deepEqual(histories.takeFresh()[0].evaluations.value, [4e-6]);
  });

  test('stays small for any number of rounds, with its first and last point', () => {
    const { histories } = play(50_000);
    const { rounds } = histories.of(RUN);
    assert.ok(rounds.amount.length <= 1024 && rounds.amount.length > 500, String(rounds.amount.length));
    assert.equal(rounds.merged_rounds[0], 1);
    assert.equal(rounds.merged_rounds.at(-1), 50_000);
    assert.deepEqual(
      rounds.merged_rounds.toSorted((a, b) => a - b),
      rounds.merged_rounds,
    );
  });

  test('a refused event leaves no trace', () => {
    const histories = openHistories();
    const machine = { refusalOf: () => null, apply: () => ({ code: 'wrong-round', message: '' }) as never };
    const refusing = watchedBy(machine, [histories]);
    refusing.apply(initialState('c'.repeat(64)), {
      id: HASH,
      author: HASH,
      body: { type: 'model.evaluated', run: RUN },
    } as never);
    assert.deepEqual(histories.takeFresh(), []);
  });
});

// A run that starts from another's model: only from one whose holders are stated, and what it owes them is paid, no share more or less.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RunCreated } from '../events/run-created.ts';
import type { EventBody } from '../events.ts';
import type { RefusalCode } from '../refusal.ts';
import { mergedList } from '../rounds/merged-list.ts';
import { initialState, type NetworkState, type RunState } from '../state.ts';
import { apply } from '../testing/checked-apply.ts';
import { drawnBy, EXAMPLE_HUB } from '../testing/example-draw.ts';
import { EXAMPLE_RUN, exampleRules, exampleVerdict, sealFor } from '../testing/example-events.ts';
import { statementOf } from './share-table.ts';

const name = (character: string): string => character.repeat(64);
const [OWNER, ALICE, VERA, BOB, FIRST, SECOND, THIRD] = ['1', 'a', 'e', 'b', 'f', 'd', 'c'].map(name);
const HUB = EXAMPLE_HUB.id;
const MODEL = name('5');
const emission = { shares_per_round: 1000, halving_rounds: 0 };
const parts = { owner_permille: 180, workers_permille: 410, validators_permille: 410 };

const created = (more: Partial<RunCreated> = {}): RunCreated => ({
  ...{
    ...EXAMPLE_RUN,
    params: name('2'),
    model: MODEL,
    rounds: 3,
  },
  ...{ round_ms: 1000, judging_ms: 400, min_workers: 1, checkpoint_every: 1, created_ms: 0 },
  rules: exampleRules({ ...emission, ...parts }),
  ...more,
});

class Story {
  readonly state: NetworkState = initialState(HUB);
  #serial = 0;

  try(author: string, body: EventBody, id = (++this.#serial).toString(16).padStart(64, '0')): RefusalCode | string {
    return apply(this.state, { id, author, body })?.code ?? id;
  }

  happen(author: string, body: EventBody, id?: string): string {
    const event = this.try(author, body, id);
    assert.match(event, /^[0-9a-f]{64}$/);
    return event;
  }

  run(id: string): RunState {
    return this.state.runs.get(id)!;
  }

  /** One round of `worker`'s, judged by vera; its shares are stated where `states` says so. */
  round(id: string, worker: string, states = true): void {
    const run = this.run(id);
    for (const [peer, role] of [
      [worker, 'worker'],
      [VERA, 'validator'],
    ] as const) {
      if (run.peers.has(peer)) continue;
      this.happen(peer, { type: 'peer.joined', version: 1, run: id, session: 0, role, name: 'x', runtime: 'y' });
    }
    const place = { version: 1, run: id, round: run.round, attempt: 0 } as const;
    this.happen(HUB, { type: 'round.opened', ...place });
    const size = { size_bytes: 1, amount: 50, numbers: {} };
    const work = { ...place, base: run.model, work: name('7'), pledge: name('7'), ...size };
    const submission = this.happen(worker, { type: 'work.submitted', ...work, version: 2 });
    const verdict = exampleVerdict(id, submission, size.amount);
    this.happen(HUB, drawnBy(EXAMPLE_HUB, run));
    this.happen(VERA, sealFor(VERA, verdict));
    this.happen(VERA, verdict);
    const model = (++this.#serial).toString(16).padStart(64, '6');
    const merge = { ...mergedList([submission]), model, bundle: name('3'), checkpoint: true };
    this.happen(HUB, { type: 'round.merged', ...place, version: 2, ...merge });
    if (states) this.happen(HUB, statementOf(run));
  }
}

const ancestorIn = (run: RunState, royalty_permille = 100) => ({
  ancestor: { run: run.id, merged_rounds: run.round, model: run.model, royalty_permille },
  model: run.model,
});

test('only the last model whose shares are stated can be started from, and only as what it is', () => {
  const story = new Story();
  story.happen(OWNER, created(), FIRST);
  const first = story.run(FIRST);
  const start = (more: Partial<RunCreated>) => story.try(BOB, created(more), SECOND);
  assert.equal(start({ ancestor: { run: FIRST, merged_rounds: 1, model: MODEL, royalty_permille: 1 } }), 'wrong-model');
  story.round(FIRST, ALICE, false);
  assert.equal(start(ancestorIn(first)), 'wrong-model', 'nobody has stated who holds it');
  story.happen(HUB, statementOf(first));
  const right = ancestorIn(first);
  assert.equal(start({ ...right, ancestor: { ...right.ancestor, run: THIRD } }), 'unknown-run');
  assert.equal(start({ ...right, ancestor: { ...right.ancestor, merged_rounds: 2 } }), 'wrong-model');
  assert.equal(start({ ...right, ancestor: { ...right.ancestor, model: MODEL } }), 'wrong-model');
  assert.equal(start({ ...right, model: MODEL }), 'wrong-model', 'a royalty for one model, but a start from another');
  assert.equal(start(right), SECOND);
  assert.deepEqual(
    story.run(SECOND).lineage?.holders,
    new Map([OWNER, ALICE, VERA].map((id, i) => [id, [180, 410, 410][i]])),
  );
});

test('what flows is divided by the shares as they were stated, also when the ancestor goes on, and on to the third generation', () => {
  const story = new Story();
  story.happen(OWNER, created(), FIRST);
  story.round(FIRST, ALICE);
  story.happen(BOB, created(ancestorIn(story.run(FIRST), 250)), SECOND);
  story.round(FIRST, ALICE); // what is earned later changes nothing for the second run
  story.round(SECOND, BOB);
  const second = story.run(SECOND);
  // 250 for the ancestor's holders (45, 102.5, 102.5), 750 by the rules: 135 owner, 307.5 workers, 307.5 validators.
  assert.deepEqual([second.shares.get(OWNER), second.shares.get(ALICE)], [45, 103]);
  assert.equal(second.shares.get(BOB)! + second.shares.get(VERA)!, 1000 - 45 - 103);
  story.happen(ALICE, created(ancestorIn(second, 1000)), THIRD);
  story.round(THIRD, ALICE);
  assert.deepEqual(
    story.run(THIRD).shares,
    new Map(story.run(THIRD).lineage!.holders),
    'everything flows to who held the second',
  );
});

test('whatever the royalty and the emission: what a round promises is what is held and what nobody earned', () => {
  const permille = fc.nat(1000);
  fc.assert(
    fc.property(fc.nat(1e9), fc.nat(1e9), permille, permille, (one, other, royalty_permille, owner_permille) => {
      const rules = (shares_per_round: number) =>
        exampleRules({
          ...{ shares_per_round, halving_rounds: 0, owner_permille },
          ...{ workers_permille: 1000 - owner_permille, validators_permille: 0 },
        });
      const story = new Story();
      story.happen(OWNER, created({ rules: rules(one) }), FIRST);
      story.round(FIRST, ALICE);
      story.happen(BOB, created({ rules: rules(other), ...ancestorIn(story.run(FIRST), royalty_permille) }), SECOND);
      for (let round = 1; round <= 2; round++) {
        story.round(SECOND, BOB);
        const { shares, unearned_shares, lineage } = story.run(SECOND);
        const held = [...shares.values()].reduce((sum, value) => sum + value, 0);
        assert.equal(held + unearned_shares, other * round);
        const ancestors = [...lineage!.holders.keys()].filter((id) => id !== BOB && id !== VERA);
        const flown = ancestors.reduce((sum, id) => sum + (shares.get(id) ?? 0), 0);
        const exact = lineage!.holders.size === 0 ? 0 : (round * other * royalty_permille) / 1000;
        assert.ok(Math.abs(flown - exact) <= round, `${flown} flowed, ${exact} should`);
      }
    }),
    { numRuns: 60 },
  );
});

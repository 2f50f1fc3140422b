// The stated table of shares: the hub can state only the true one, each row is provable against it, and no other row is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bindDevice } from '../devices.ts';
import type { EventBody } from '../events.ts';
import { mergedList } from '../rounds/merged-list.ts';
import { initialState, type NetworkState } from '../state.ts';
import { stateHash } from '../state-bytes.ts';
import { apply } from '../testing/checked-apply.ts';
import { drawnBy, EXAMPLE_HUB } from '../testing/example-draw.ts';
import { EXAMPLE_RUN, exampleRules, exampleVerdict, sealFor } from '../testing/example-events.ts';
import { addressesOf } from './addresses.ts';
import {
  mayStateShares,
  rowProof,
  type ShareRow,
  shareTable,
  statementOf,
  verifyRow,
  verifyTable,
} from './share-table.ts';

const name = (character: string): string => character.repeat(64);
const [OWNER, ALICE, VERA, RUN] = ['1', 'a', 'e', 'f'].map(name);
const HUB = EXAMPLE_HUB.id;
const run = { version: 1, run: RUN } as const;

let serial = 0;
function happen(state: NetworkState, author: string, body: EventBody, id?: string): string {
  const event = { id: id ?? (++serial).toString(16).padStart(64, '0'), author, body };
  assert.equal(apply(state, event), null);
  return event.id;
}

/** One run of two rounds, of which only the second model is kept whole. */
function play(rounds: number): NetworkState {
  const state = initialState(HUB);
  const emission = { shares_per_round: 1000, halving_rounds: 0 };
  const parts = { owner_permille: 180, workers_permille: 410, validators_permille: 410 };
  happen(
    state,
    OWNER,
    {
      ...EXAMPLE_RUN,
      params: name('2'),
      model: name('5'),
      rounds: 2,
      round_ms: 1000,
      judging_ms: 400,
      min_workers: 1,
      checkpoint_every: 2,
      rules: exampleRules({ ...emission, ...parts }),
      created_ms: 0,
    },
    RUN,
  );
  happen(state, HUB, { type: 'tick', version: 1, time_ms: 1 });
  happen(state, ALICE, { type: 'peer.joined', ...run, session: 0, role: 'worker', name: 'a', runtime: 'native' });
  happen(state, VERA, { type: 'peer.joined', ...run, session: 0, role: 'validator', name: 'v', runtime: 'native' });
  for (let round = 0; round < rounds; round++) {
    const base = state.runs.get(RUN)!.model;
    const place = { ...run, round, attempt: 0 };
    happen(state, HUB, { type: 'round.opened', ...place });
    const size = { size_bytes: 1, amount: 50, numbers: {} };
    const work = happen(state, ALICE, {
      type: 'work.submitted',
      ...place,
      version: 2,
      base,
      work: name('7'),
      ...size,
      pledge: name('7'),
    });
    const verdict = exampleVerdict(RUN, work, size.amount);
    happen(state, HUB, drawnBy(EXAMPLE_HUB, state.runs.get(RUN)!));
    happen(state, VERA, sealFor(VERA, verdict));
    happen(state, VERA, verdict);
    const model = name(String(6 + round));
    happen(state, HUB, {
      type: 'round.merged',
      ...place,
      version: 2,
      ...mergedList([work]),
      model,
      bundle: name('3'),
      checkpoint: round === 1,
    });
  }
  return state;
}

test('the hub states the true table, once for each model that is kept whole, and nobody else does', () => {
  const before = play(1);
  assert.equal(mayStateShares(before.runs.get(RUN)!), false, 'the first model is not kept whole');
  const state = play(2);
  const body = statementOf(state.runs.get(RUN)!);
  assert.deepEqual(
    { ...body, root: '', model: '' },
    {
      ...{ type: 'shares.stated', version: 2, run: RUN, merged_rounds: 2, model: '', accounts: 3, root: '' },
      ...{ shares: 2000, unearned_shares: 0, amount: 100 },
    },
  );
  const refused = (author: string, wrong: EventBody, code: string): void => {
    const hash = stateHash(state);
    assert.equal(apply(state, { id: name('9'), author, body: wrong })?.code, code);
    assert.equal(stateHash(state), hash);
  };
  refused(ALICE, body, 'not-the-hub');
  for (const field of ['merged_rounds', 'accounts', 'shares', 'unearned_shares', 'amount'] as const) {
    refused(HUB, { ...body, [field]: body[field] + 1 }, 'wrong-statement');
  }
  for (const field of ['root', 'model'] as const) refused(HUB, { ...body, [field]: name('4') }, 'wrong-statement');
  happen(state, HUB, body);
  refused(HUB, body, 'wrong-statement');
});

const account = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const rows: fc.Arbitrary<ShareRow[]> = fc
  .uniqueArray(fc.record({ account, shares: fc.nat(), amount: fc.nat() }), {
    selector: (row) => row.account,
    minLength: 1,
    maxLength: 70,
  })
  .map((table) => table.sort((a, b) => (a.account < b.account ? -1 : 1)));

function stateOfTable(table: readonly ShareRow[]) {
  const state = play(2);
  const held = state.runs.get(RUN)!;
  held.shares = new Map(table.map(({ account, shares }) => [account, shares]));
  held.amounts = new Map(table.map(({ account, amount }) => [account, amount]));
  return statementOf(held);
}

test('every row of any table is provable, and no row with another account, amount or place', () => {
  fc.assert(
    fc.property(rows, fc.nat(), (table, pick) => {
      const stated = stateOfTable(table);
      assert.ok(verifyTable(stated, table));
      for (const [index, row] of table.entries()) {
        assert.ok(verifyRow(stated, row, index, rowProof(table, index)));
      }
      const index = pick % table.length;
      const row = table[index];
      const proof = rowProof(table, index);
      for (const wrong of [
        { ...row, shares: row.shares + 1 },
        { ...row, amount: row.amount + 1 },
        { ...row, account: name('9') },
      ]) {
        assert.equal(verifyRow(stated, wrong, index, proof), false);
        assert.equal(verifyTable(stated, table.with(index, wrong)), false);
      }
      assert.equal(verifyRow(stated, row, index + 1, proof), false);
      assert.equal(verifyTable(stated, table.slice(1)), false);
    }),
    { numRuns: 40 },
  );
});

test('the table follows from the state: shares and amount by account, in order', () => {
  const table = shareTable(play(2).runs.get(RUN)!);
  assert.deepEqual(table, [
    { account: OWNER, shares: 360, amount: 0 },
    { account: ALICE, shares: 820, amount: 100 },
    { account: VERA, shares: 820, amount: 0 },
  ]);
});

test('an owner names the address it is settled at, and may change it; a device may not', () => {
  const state = play(1);
  const address = (digit: string, change: number, hub = HUB): EventBody => ({
    ...{ type: 'account.address', version: 1, hub, change, chain: 'evm', address: `0x${digit.repeat(40)}` },
  });
  const refused = (author: string, body: EventBody) => apply(state, { id: name('9'), author, body })?.code;
  happen(state, OWNER, address('a', 0));
  happen(state, OWNER, address('b', 1));
  assert.deepEqual([...addressesOf(state)], [[OWNER, `0x${'b'.repeat(40)}`]]);
  // An old statement cannot be put in force again, nor one that was meant for another hub.
  assert.equal(refused(OWNER, address('a', 0)), 'wrong-change');
  assert.equal(refused(OWNER, address('c', 3)), 'wrong-change');
  assert.equal(refused(OWNER, address('c', 2, ALICE)), 'wrong-hub');
  bindDevice(state, ALICE, { owner: OWNER, expires_ms: 99 });
  assert.equal(refused(ALICE, address('c', 0)), 'not-the-owner');
  assert.deepEqual([...addressesOf(state)], [[OWNER, `0x${'b'.repeat(40)}`]]);
});

// What a run takes along is all that it has been, in a form that nothing else is taken for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '@ipld/dag-cbor';
import fc from 'fast-check';
import { CORE_LIMITS, LOGS_LIMITS } from '../limits.ts';
import { FILTER_BYTES } from '../rounds/forgetting.ts';
import type { PeerState, RunState } from '../state.ts';
import { pausedRun, peerOf } from '../testing/moves-by-hand.ts';
import { decodeMovedRun, encodeMovedRun } from './moved-run.ts';

const [worker, revoked, other] = ['1', '2', '3'].map((digit) => digit.repeat(64));
const hash = (digit: string): string => digit.repeat(64);

/** All that goes along with a run, each of it as no new run has it. */
function livedRun(run: RunState) {
  const margins = { per_draw_micro: 300, allowance_micro: 60_000, end_margin_micro: 200_000 };
  const usual = { logprob_distance_micro: 3000, usual_per_draw_micro: 30, sum_micro: 300_000 };
  const merged = { bundle: hash('7'), step: hash('8'), model: hash('9') };
  return {
    rules: { ...run.rules, withheld_rounds: 9 },
    pending_rules: { from_round: 40, rules: { ...run.rules, judges: 2 } },
    ...{ proposals: 6, halted: 'models-get-worse' as const, round: 3, attempt: 2, eligible: [other, worker] },
    ...{ model: hash('9'), checkpoint: { merged_rounds: 2, model: hash('6'), rest: hash('5') } },
    recent: [{ round: 2, parent: hash('6'), ...merged }],
    forgetting: { leaves: 1, least_session: 2, next_session: 3, keys: new Uint8Array(FILTER_BYTES).fill(5) },
    withheld: new Map([[worker, [{ round: 0, account: worker, shares: 2, amount: 1 }]]]),
    locks: [{ account: worker, device: worker, shares: 3, free_round: 4 }],
    stake_changes: new Map([[worker, 4]]),
    settled: new Map([[worker, 11]]),
    settlements: 2,
    bonds: [[other, [[worker, 12] as const]] as const],
    last_judged: new Map([[worker, { pledge: hash('4'), verdicts: new Map([[other, true]]) }]]),
    ...{ shares: new Map([[worker, 30]]), unearned_shares: 5, emitted_shares: 35, amounts: new Map([[worker, 10]]) },
    ...{ stated_rounds: 2, stated: { merged_rounds: 2, model: hash('6'), shares: new Map([[worker, 20]]) } },
    lineage: {
      run: hash('c'),
      merged_rounds: 8,
      model: hash('d'),
      royalty_permille: 7,
      holders: new Map([[other, 1]]),
    },
    ...{ merged_amount: 13, submissions_total: 14, bytes_submitted: 15 },
    evaluation: { merged_rounds: 2, measured: { loss_micro: -3 } },
    first_evaluation: { merged_rounds: 1, measured: { loss_micro: 4 } },
    serving: { margins: new Map([['q8', { ...margins, ...usual }]]), published: 1 },
  } satisfies Partial<RunState>;
}

test('what a run takes along is all that it has been: what was settled, withheld, locked, counted, and who has been there', async () => {
  const { a, run } = await pausedRun();
  const lived = livedRun(run);
  // Nobody is there yet, and a key that its owner has revoked has no record where nobody may know of that.
  const peer: PeerState = {
    ...{
      ...peerOf(worker),
      role: 'validator',
      name: 'y',
      runtime: 'webgpu',
      joins: 7,
      stage: 1,
      held: new Map([[1, 2]]),
    },
    ...{ credit_amount: 5, merged_submissions: 3, merged_round: 0, refused_submissions: 1, judged: true },
    ...{ evaluated_rounds: 2, consecutive_valid: 3, plants_right: 4, plants_wrong: 6, forfeited_shares: 8 },
    ...{ strikes: 2, struck_round: 9, suspended_until: 10, warned_until: 11 },
  };
  run.peers.set(worker, { ...peer, present: true, handed_in: true, openings: 2 });
  run.peers.set(revoked, { ...peer, id: revoked });
  a.devices.set(revoked, { owner: other, expires_ms: 1, revoked: true });
  a.devices.set(worker, { owner: other, expires_ms: 1, revoked: false });
  const taken = decodeMovedRun(encodeMovedRun(a, Object.assign(run, lived)));
  const peers = new Map([
    [worker, peer],
    [revoked, { ...peer, id: revoked, consecutive_valid: 0 }],
  ]);
  assert.ok(!('code' in taken));
  // Apart: a difference in so many bytes would be looked for until the memory is full.
  const { keys } = taken.forgetting;
  assert.ok(keys !== null && Buffer.from(keys).equals(lived.forgetting.keys));
  const forgetting = { ...lived.forgetting, keys: null };
  assert.deepEqual({ ...taken, forgetting: { ...taken.forgetting, keys: null } }, { ...lived, forgetting, peers });
});

test('a lineage goes along with what its event says, in whatever order and however much more', async () => {
  const { a, run } = await pausedRun();
  const { lineage } = livedRun(run);
  const { holders, ...rest } = lineage;
  const [usual, turned] = [lineage, { holders, more: 1, ...rest }].map((one) =>
    encodeMovedRun(a, { ...run, lineage: one }),
  );
  assert.deepEqual(turned, usual);
});

test('a form that says more, less, or what no log can is refused in a word that names it', async () => {
  const { a, run } = await pausedRun();
  run.peers.set(worker, peerOf(worker));
  const form = decode<{ peers: [object] }>(encodeMovedRun(a, Object.assign(run, livedRun(run))));
  const { settled: _settled, ...less } = form as typeof form & { settled: unknown };
  const [peer] = form.peers;
  const beyond = 2 ** 52 + 1;
  const twice = [
    [worker, 1],
    [worker, 2],
  ];
  const wrong: [string, object][] = [
    ['the whole', []],
    ['the whole', { ...form, more: 1 }],
    ['settled', less],
    ['form', { ...form, form: 'potluck-moved-run-v2' }],
    ...['stake_changes', 'settled', 'shares', 'amounts'].map((map): [string, object] => [
      map,
      { ...form, [map]: twice },
    ]),
    ['shares.0.0', { ...form, shares: [['4'.repeat(81), 1]] }],
    ['halted', { ...form, halted: 'tired' }],
    ['attempt', { ...form, attempt: -1 }],
    // As far as later rounds can count on from.
    ['attempt', { ...form, attempt: beyond }],
    ['emitted_shares', { ...form, emitted_shares: beyond }],
    ['shares.0.1', { ...form, shares: [[worker, beyond]] }],
    ['peers.0.joins', { ...form, peers: [{ ...peer, joins: beyond }] }],
    ['forgetting.next_session', { ...form, forgetting: { ...run.forgetting, next_session: beyond } }],
    ['bonds.0.1.0.1', { ...form, bonds: [[worker, [[worker, 65_536]]]] }],
    ['lineage.royalty_permille', { ...form, lineage: { ...run.lineage, holders: [], royalty_permille: 1001 } }],
    ['forgetting.keys', { ...form, forgetting: { ...run.forgetting, keys: new Uint8Array(FILTER_BYTES - 1) } }],
    ['peers.0', { ...form, peers: [{ ...peer, present: true }] }],
    ['peers.0.name', { ...form, peers: [{ ...peer, name: 'two\nlines' }] }],
    ['checkpoint.rest', { ...form, checkpoint: { ...run.checkpoint, rest: 'x' } }],
    [
      'serving.margins.0.1.sum_micro',
      { ...form, serving: { margins: [['q8', { ...run.serving.margins.get('q8'), sum_micro: 1 }]], published: 1 } },
    ],
  ];
  for (const [where, value] of wrong) {
    const refusal = decodeMovedRun(encode(value));
    assert.ok('code' in refusal && refusal.code === 'wrong-state', where);
    assert.ok(refusal.message.startsWith(`what the run takes along: ${where}: `), `${where}: ${refusal.message}`);
  }
  const most = {
    amounts: [[worker, Number.MAX_SAFE_INTEGER]],
    attempt: beyond - 1,
    bonds: [[worker, [[worker, 65_535]]]],
  };
  assert.ok(!('code' in decodeMovedRun(encode({ ...form, ...most }))));
});

test('as many peers as a run may have, with shares that each may lose, fit into what a run takes along', async () => {
  const { a, run } = await pausedRun();
  const peers = 500;
  for (let i = 0; i < peers; i++) {
    const [peer, account, work] = ['a', 'b', 'c'].map((what) => `${i}`.padStart(64, what));
    const record = peerOf(peer);
    run.peers.set(peer, { ...record, name: 'a laptop of somebody', credit_amount: 1e9, merged_submissions: 999 });
    run.shares.set(account, 1e9);
    run.amounts.set(account, 1e9);
    run.withheld.set(
      peer,
      Array.from({ length: 4 }, () => ({ round: 999, account, shares: 1e6, amount: 1e6 })),
    );
    run.last_judged.set(work, {
      pledge: work,
      verdicts: new Map([1, 2, 3].map((n) => [`${n}`.padStart(64, 'd'), true])),
    });
  }
  run.stated = { merged_rounds: 0, model: run.model, shares: new Map(run.shares) };
  const size_bytes = (encodeMovedRun(a, run).length / peers) * CORE_LIMITS.peers_per_run;
  const most_bytes = LOGS_LIMITS.moved_run_bytes;
  assert.ok(size_bytes < most_bytes && size_bytes > most_bytes / 2, `${size_bytes} of ${most_bytes} bytes`);
});

test('those who left without a record come along, also beside as many as a run has places for', async () => {
  const { a, run } = await pausedRun();
  for (let i = 0; i <= CORE_LIMITS.peers_per_run; i++) {
    const id = `${i}`.padStart(64, '0');
    run.peers.set(id, peerOf(id));
  }
  const taken = decodeMovedRun(encodeMovedRun(a, run));
  assert.ok(!('code' in taken) && taken.peers.size === CORE_LIMITS.peers_per_run + 1);
});

test('any bytes in place of what a run takes along are refused, and never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const decoded = decodeMovedRun(bytes);
      assert.ok('code' in decoded && decoded.code === 'wrong-state');
    }),
    { numRuns: 200 },
  );
});

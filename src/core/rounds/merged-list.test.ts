// What a merge says of its list: of every work it can be shown whether it is in it, and of none the contrary.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EMPTY_ROOT } from '../../ledger/merkle.ts';
import { MAX_EVENT_BYTES, signEvent } from '../../protocol/envelope.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { CORE_LIMITS } from '../limits.ts';
import { isMerged, type Membership, membershipsIn, mergedList } from './merged-list.ts';

const id = fc.nat(40).map((n) => n.toString(16).padStart(64, '0'));
const ids = fc.uniqueArray(id, { maxLength: 33 }).map((list) => list.sort());

test('a list and its proofs say of every work whether it was merged', () => {
  fc.assert(
    fc.property(ids, id, (list, asked) => {
      const stated = mergedList(list);
      assert.equal(stated.accepted_count, list.length);
      assert.equal(isMerged(stated, asked, membershipsIn(list)(asked)), list.includes(asked));
    }),
    { numRuns: 500 },
  );
  assert.deepEqual(mergedList([]), { accepted_count: 0, accepted_root: Buffer.from(EMPTY_ROOT).toString('hex') });
});

test('the order of a list, its length and each of its works are in what a merge says', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((digit) => digit.repeat(64));
  const roots = [[], [a], [b], [a, b], [b, a], [a, b, c], [a, b, c, c]].map((list) => mergedList(list).accepted_root);
  assert.equal(new Set(roots).size, roots.length);
});

/** Everything that a liar could make of a proof without finding another hash. */
const bent = (shown: Membership, other: Membership): fc.Arbitrary<Membership> => {
  const entries = [...shown.entries, ...other.entries];
  return fc.record({
    index: fc.oneof(fc.constantFrom(shown.index, other.index), fc.nat(40)),
    entries: fc.array(
      fc.record({
        id: fc.oneof(id, fc.constantFrom(...entries.map((entry) => entry.id), 'f'.repeat(64))),
        inclusion_proof: fc.constantFrom(...entries.map((entry) => entry.inclusion_proof), []),
      }),
      { maxLength: 2 },
    ),
  });
};

test('no proof shows the contrary, whatever is put together of true ones', () => {
  const lies = fc.tuple(ids, id, id).chain(([list, asked, elsewhere]) => {
    const membership = membershipsIn(list);
    return fc.tuple(fc.constant(list), fc.constant(asked), bent(membership(asked), membership(elsewhere)));
  });
  const said = new Map<boolean | null, number>();
  fc.assert(
    fc.property(lies, ([list, asked, proof]) => {
      const merged = isMerged(mergedList(list), asked, proof);
      said.set(merged, (said.get(merged) ?? 0) + 1);
      assert.ok(merged === null || merged === list.includes(asked), JSON.stringify(proof));
    }),
    { numRuns: 3000 },
  );
  for (const each of [null, true, false]) assert.ok(said.get(each), `none of the drawn proofs shows ${each}`);
});

test('what is no base64 shows nothing', () => {
  const [a, b] = ['a', 'b'].map((digit) => digit.repeat(64));
  const { index, entries } = membershipsIn([a, b])(a);
  const spoiled = { index, entries: entries.map((entry) => ({ ...entry, inclusion_proof: ['!'.repeat(44)] })) };
  assert.equal(isMerged(mergedList([a, b]), a, spoiled), null);
});

test('a merge of as many works as a run may have peers is a short event', async () => {
  const hub = await createIdentity();
  const hash = 'a'.repeat(64);
  const list = Array.from({ length: CORE_LIMITS.peers_per_run }, (_, i) => i.toString(16).padStart(64, '0'));
  const event = await signEvent(hub, {
    ...{ type: 'round.merged', version: 2, run: hash, round: 999_999, attempt: 0, ...mergedList(list) },
    ...{ model: hash, bundle: hash, checkpoint: true, step: hash, rest: hash },
  });
  assert.ok(event.length * 64 < MAX_EVENT_BYTES, `${event.length} bytes`);
});

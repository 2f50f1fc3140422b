// A proof of an event that a hub serves is checked by the file alone; whatever is changed in it is refused with its own code.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cosignCheckpoint } from '../ledger/checkpoint.ts';
import { witnessName } from '../ledger/key-names.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { writeTlogProof } from '../ledger/tlog-proof.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity } from '../protocol/identity.ts';
import { checkEntryProof, isEntryProof } from './entry-proof.ts';
import { OwnershipError } from './ownership-errors.ts';

const hub = createIdentity();
const witness = createIdentity();
const log = openTransparencyLog(createMemoryLogStore(), hub);
const ticks = await Promise.all([1, 2, 3].map((time_ms) => signEvent(hub, { type: 'tick', version: 1, time_ms })));
const junk = new TextEncoder().encode('no event');
await log.append([...ticks, junk]);
const cosigned = await cosignCheckpoint(witness, witnessName(witness.id), (await log.checkpoint()).note, 7);
const proofOf = (index: number, note = cosigned, extra: Uint8Array | undefined = [...ticks, junk][index]) =>
  writeTlogProof({ index, proof: log.inclusionProof(index, log.size), note, extra });

const refused = (code: OwnershipError['code'], text: string, entry?: Uint8Array) =>
  assert.throws(
    () => checkEntryProof(text, entry),
    (error) => error instanceof OwnershipError && error.code === code,
    code,
  );

test('what a hub serves is valid by itself, and says which event, where, and who has cosigned', () => {
  const text = proofOf(1);
  assert.ok(isEntryProof(new TextEncoder().encode(text)));
  assert.ok(!isEntryProof(new TextEncoder().encode('{"format":')));
  const { event, ...found } = checkEntryProof(text);
  assert.deepEqual(found, {
    hub: hub.id,
    index: 1,
    size: 4,
    witnesses: [{ name: witnessName(witness.id), time_s: 7 }],
  });
  assert.deepEqual([event.author, event.body], [hub.id, { type: 'tick', version: 1, time_ms: 2 }]);
});

test('another entry, none, one that is no event, another log, a false cosignature, a version that is not known', async () => {
  const bare = writeTlogProof({ index: 1, proof: log.inclusionProof(1, log.size), note: cosigned });
  refused('no-entry', bare);
  assert.equal(checkEntryProof(bare, ticks[1]).index, 1);
  refused('bad-proof', bare, ticks[2]);
  refused('bad-proof', proofOf(1, cosigned, ticks[0]));
  refused('malformed', proofOf(3));
  const other = openTransparencyLog(createMemoryLogStore(), hub, { origin: 'example.com/log' });
  refused('malformed', proofOf(1, (await other.checkpoint()).note));
  refused('bad-signature', proofOf(1, cosigned.replaceAll(hub.id, witness.id)));
  const nobody = hub.id.replace(/^./, (digit) => (digit === 'f' ? '0' : 'f'));
  refused('bad-signature', proofOf(1, cosigned.replace(witnessName(witness.id), witnessName(nobody))));
  refused('malformed', proofOf(1).replace('@v1', '@v2'));
});

test('a character that is changed anywhere is refused with a type, or changes nothing of what is said', () => {
  const text = proofOf(2);
  const said = JSON.stringify({ ...checkEntryProof(text), witnesses: [] });
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom('A', '0', '\n', ' ', ''), (at, char) => {
      try {
        const found = checkEntryProof(text.slice(0, at) + char + text.slice(at + 1));
        assert.equal(JSON.stringify({ ...found, witnesses: [] }), said);
      } catch (error) {
        if (!(error instanceof OwnershipError)) throw error;
      }
    }),
    { numRuns: 300 },
  );
});

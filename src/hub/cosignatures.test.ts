// Cosignatures that a hub serves: only valid ones of its own checkpoints, the latest of each witness, and never more than it may hold.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cosignCheckpoint, openCheckpoint, signCheckpoint, verifyCosignature } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { posts } from './cluster/testing/posts.ts';
import { openCosignatures } from './cosignatures.ts';
import { HubError } from './errors.ts';

const hub = createIdentity();
const origin = `potluck/${hub.id}`;
const note = (size: number, by: Identity = hub) =>
  signCheckpoint(by, { origin: `potluck/${by.id}`, size, root: new Uint8Array(32).fill(size) });
const named = (witness: Identity): string => `witness/${witness.id}`;
const cosigned = async (witness: Identity, size: number, time_s: number) =>
  cosignCheckpoint(witness, named(witness), await note(size), time_s);

test('what two witnesses say of one head is served with it, and with no other', async () => {
  const [first, second] = [createIdentity(), createIdentity()];
  const held = openCosignatures(hub.id);
  assert.equal(held.largest(), null);
  assert.deepEqual(held.add(await cosigned(first, 5, 100)), [first.id]);
  assert.deepEqual(held.add(await cosigned(second, 5, 101)), [second.id]);
  const joined = held.join(await note(5));
  assert.equal(joined, held.largest());
  assert.equal(openCheckpoint(joined, { id: hub.id, origin }).size, 5);
  for (const [witness, time_s] of [
    [first, 100],
    [second, 101],
  ] as const) {
    assert.equal(verifyCosignature(joined, { name: named(witness), id: witness.id }).time_s, time_s);
  }
  assert.equal(held.join(await note(6)), await note(6));
});

test('at a hub of several processes each serves what witnesses have said to any, of whatever name', async () => {
  const { open, arrive, errors } = posts(hub.id);
  const [one, two] = [openCosignatures(hub.id, open()), openCosignatures(hub.id, open())];
  const [named_one, asked] = [createIdentity(), createIdentity()];
  one.add(await cosigned(named_one, 5, 100));
  two.addBy(await cosignCheckpoint(asked, 'example.org/asked', await note(5), 101), {
    ...{ name: 'example.org/asked', id: asked.id },
  });
  arrive();
  for (const held of [one, two]) {
    const joined = held.join(await note(5));
    assert.equal(verifyCosignature(joined, { name: named(named_one), id: named_one.id }).time_s, 100);
    assert.equal(verifyCosignature(joined, { name: 'example.org/asked', id: asked.id }).time_s, 101);
  }
  assert.deepEqual(errors, []);
});

test('a witness moves on and never back', async () => {
  const witness = createIdentity();
  const held = openCosignatures(hub.id);
  held.add(await cosigned(witness, 9, 200));
  assert.deepEqual(held.add(await cosigned(witness, 5, 300)), []);
  assert.deepEqual(held.add(await cosigned(witness, 9, 100)), []);
  assert.match(held.largest()!, /\n9\n/);
  held.add(await cosigned(witness, 12, 300));
  assert.match(held.largest()!, /\n12\n/);
  assert.equal(held.join(await note(9)), await note(9), 'what nobody stands for any more is forgotten');
});

test('false cosignatures, those of other logs and unknown names are not served', async () => {
  const witness = createIdentity();
  const held = openCosignatures(hub.id);
  const good = await cosigned(witness, 5, 100);
  const forged = good.replace(named(witness), named(createIdentity()));
  assert.throws(() => held.add(forged), LedgerError);
  assert.throws(() => held.add(good.replace(/.{6}\n$/, 'AAAA==\n')), LedgerError);
  const other = createIdentity();
  const elsewhere = await cosignCheckpoint(witness, named(witness), await note(5, other), 100);
  assert.throws(() => held.add(elsewhere), LedgerError);
  assert.deepEqual(held.add(await cosignCheckpoint(witness, 'somebody', await note(5), 100)), []);
  assert.throws(() => held.add('nonsense'), LedgerError);
  assert.equal(held.largest(), null);
});

test('strangers cannot crowd out witnesses that are at work, only those that fell silent', async () => {
  const held = openCosignatures(hub.id);
  const witnesses = Array.from({ length: 32 }, createIdentity);
  for (const [i, witness] of witnesses.entries()) held.add(await cosigned(witness, 5, 1000 + i));
  const newcomer = createIdentity();
  const early = await cosigned(newcomer, 5, 2000);
  assert.throws(
    () => held.add(early),
    (error) => error instanceof HubError && error.code === 'too-many-witnesses',
  );
  assert.deepEqual(held.add(await cosigned(newcomer, 5, 1000 + 3600)), [newcomer.id]);
  const joined = held.join(await note(5));
  assert.ok(!joined.includes(named(witnesses[0])) && joined.includes(named(witnesses[1])));
});

test('a note with the cosignatures of many keys is refused before any of them is looked at', async () => {
  const held = openCosignatures(hub.id);
  const sign = async (witnesses: Identity[], signed: string) => {
    for (const witness of witnesses) signed = await cosignCheckpoint(witness, named(witness), signed, 100);
    return signed;
  };
  const witnesses = Array.from({ length: 9 }, () => createIdentity());
  const crowded = await sign(witnesses, await note(5));
  const spoilt = crowded.replace(/.{6}\n$/, 'AAAA==\n');
  assert.throws(() => held.add(spoilt), {
    code: 'too-many-witnesses',
    message: /at most 8 cosignatures in one note, got 9/,
  });
  assert.equal(held.largest(), null);
  assert.equal(held.add(await sign(witnesses.slice(1), await note(5))).length, 8);
});

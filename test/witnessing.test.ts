// A hub asks a stranger's witness (C2SP tlog-witness) over real sockets: its cosignature is served, in proofs too, across a restart of either.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { witnessServer } from '../src/audit/witness-server.ts';
import { askWitness, parseWitness } from '../src/hub/ask-witness.ts';
import { openCosignatures } from '../src/hub/cosignatures.ts';
import { openHub } from '../src/hub/hub.ts';
import { verifyCosignature } from '../src/ledger/checkpoint.ts';
import { witnessName } from '../src/ledger/key-names.ts';
import { NOTE_COSIGNATURE_V1, NOTE_ED25519, parseVerifierKey, verifierKey } from '../src/ledger/signed-note.ts';
import { createMemoryLogStore } from '../src/ledger/testing/memory-log.ts';
import { parseTlogProof, verifyTlogProof } from '../src/ledger/tlog-proof.ts';
import { openTransparencyLog } from '../src/ledger/transparency-log.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import { createIdentity } from '../src/protocol/identity.ts';

const witness = createIdentity();
const witnessKey = { name: witnessName(witness.id), id: witness.id };
const ADDRESS = `0x${'1'.repeat(40)}`;
const vkey = verifierKey(witnessKey, NOTE_COSIGNATURE_V1);

async function witnessAt(t: TestContext, folder: string, logs: { name: string; id: string }[]) {
  let last: Promise<unknown> = Promise.resolve();
  const server = witnessServer({
    ...{ witness, folder, logs: () => logs, now_s: () => 1_800_000_000, onCosigned() {} },
    onError: (error) => assert.fail(String(error)),
    inTurn: (work) => {
      const done = last.then(work);
      last = done.catch(() => {});
      return done;
    },
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return parseWitness(`${vkey} http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

function temporary(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'potluck-witnessing-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('a hub that is told of a witness serves its cosignature, and proofs that carry it', async (t) => {
  const dir = temporary(t);
  const logs: { name: string; id: string }[] = [];
  const address = await witnessAt(t, join(dir, 'witness'), logs);
  const at = { folder: join(dir, 'hub'), host: '127.0.0.1', port: 0 };
  const first = await openHub(at);
  t.after(() => first.close());
  logs.push(parseVerifierKey(first.verifier_key).key);
  assert.equal((await (await fetch(`${first.url}/log/key`)).text()).trim(), first.verifier_key);
  assert.equal(parseVerifierKey(first.verifier_key).type, NOTE_ED25519);
  const body = {
    type: 'account.address',
    version: 1,
    hub: first.id,
    change: 0,
    chain: 'evm',
    address: ADDRESS,
  } as const;
  const entry = await signEvent(createIdentity(), body);
  const posted = await fetch(`${first.url}/events`, { method: 'POST', body: entry as Uint8Array<ArrayBuffer> });
  assert.equal(posted.status, 201, await posted.clone().text());
  await first.close();
  const hub = await openHub({ ...at, witnesses: [address] });
  t.after(() => hub.close());
  let cosigned = await fetch(`${hub.url}/log/cosigned`);
  for (; cosigned.status !== 200; cosigned = await fetch(`${hub.url}/log/cosigned`)) await cosigned.text();
  const note = await cosigned.text();
  assert.deepEqual(verifyCosignature(note, witnessKey).time_s, 1_800_000_000);
  assert.ok((await (await fetch(`${hub.url}/log/checkpoint`)).text()).includes(witnessKey.name));
  const proof = await (await fetch(`${hub.url}/log/proof/0`)).text();
  assert.deepEqual(verifyTlogProof(proof, entry, { id: hub.id }), { index: 0, size: 1 });
  assert.equal(parseTlogProof(proof).note, note, 'the head that the witness has seen');
  assert.equal((await fetch(`${hub.url}/log/proof/1`)).status, 404);
});

test('a log that has forgotten what it was cosigned at is told, and goes on from there', async (t) => {
  const identity = createIdentity();
  const log = openTransparencyLog(createMemoryLogStore(), identity);
  const address = await witnessAt(t, temporary(t), [{ name: log.origin, id: identity.id }]);
  const cosignatures = openCosignatures(identity.id);
  const ask = (old_size: number) => askWitness(address, old_size, { log, cosignatures }, new AbortController().signal);
  assert.equal(await ask(0), 0, 'an empty log is not shown');
  await log.append([Uint8Array.of(1), Uint8Array.of(2)]);
  assert.equal(await ask(0), 2);
  await log.append([Uint8Array.of(3)]);
  assert.equal(await ask(0), 3, 'after a 409 with the size');
  assert.equal(await ask(3), 3, 'nothing new is nothing to ask');
  assert.ok(cosignatures.largest()?.includes(witnessKey.name));
});

test('a hub that forks gets no cosignature from a witness that remembers', async (t) => {
  const identity = createIdentity();
  const [log, fork] = [1, 2].map(() => openTransparencyLog(createMemoryLogStore(), identity));
  const address = await witnessAt(t, temporary(t), [{ name: log.origin, id: identity.id }]);
  const cosignatures = openCosignatures(identity.id);
  const ask = (which: typeof log, old_size: number) =>
    askWitness(address, old_size, { log: which, cosignatures }, new AbortController().signal);
  await log.append([Uint8Array.of(1), Uint8Array.of(2)]);
  await ask(log, 0);
  await fork.append([Uint8Array.of(9), Uint8Array.of(9), Uint8Array.of(9)]);
  await assert.rejects(ask(fork, 0), { code: 'bad-witness', message: /answered 422/ });
});

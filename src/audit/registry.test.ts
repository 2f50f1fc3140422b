// An audit of a log that follows a registry reads the registry's log too: a revocation that came late is told, one that its hub saw and left out is
// an untruth, and nobody is accused of what others did.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { RegistrySeen } from '../core/events/registry-seen.ts';
import type { EventBody } from '../core/events.ts';
import { LOGS_LIMITS } from '../core/limits.ts';
import { takeApart } from '../ledger/checkpoint.ts';
import { originOf } from '../ledger/key-names.ts';
import type { TransparencyLog } from '../ledger/transparency-log.ts';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity, type DrawingIdentity } from '../protocol/identity.ts';
import { AuditFailure } from './public-log.ts';
import { auditOf, ExampleLog, logOf, publicLogOf } from './testing/example-log.ts';
import { openerOf, urlOf } from './testing/moved-log.ts';

let registry: ExampleLog;
let log: ExampleLog;
let ada: DrawingIdentity;

/** What the hub writes of these entries, under the registry's present head. */
async function seenOf(indices: readonly number[], from: TransparencyLog = registry.log): Promise<RegistrySeen> {
  const { note, size } = await from.checkpoint();
  const { root, signature } = takeApart(note, { name: originOf(registry.hub.id), id: registry.hub.id });
  const facts = indices.map((index) => {
    const [event] = from.read(index, index + 1);
    return { index, event, inclusion_proof: from.inclusionProof(index, size) };
  });
  return {
    ...{ type: 'registry.seen', version: 1, registry: registry.hub.id, url: urlOf(registry) },
    head: { size, root: bytesToHex(root), signature: bytesToHex(signature) },
    consistency: from.consistencyProof(log.state.registry?.size ?? 0, size),
    facts,
  };
}
const see = async (...indices: number[]) => log.add(log.hub, await seenOf(indices));
const revoked = (device: string): EventBody => ({ type: 'device.revoked', version: 1, device });

async function bind(device: DrawingIdentity): Promise<number> {
  const body = { type: 'device.certificate', version: 1, device: device.id, expires_ms: 10 ** 13 } as const;
  await registry.add(device, { type: 'device.bound', version: 1, certificate: await signEvent(ada, body) });
  return registry.entries.length - 1;
}

before(() => {
  ada = createIdentity();
});

/** A worker is Ada's by the registry, has had one round in the log, and is revoked in the registry. */
async function play(): Promise<{ device: string; entry: number; looked: number }> {
  registry = new ExampleLog(0);
  log = new ExampleLog(1);
  const device = log.workers[0].identity as DrawingIdentity;
  await see(await bind(device));
  await log.begin();
  await bind(createIdentity());
  await see();
  const looked = log.entries.length - 1;
  await log.playRound();
  await registry.add(ada, revoked(device.id));
  return { device: device.id, entry: 2, looked };
}

const found = async (more: object = { openOther: openerOf([registry.log]) }) =>
  auditOf(await publicLogOf(log.log), more);

async function heldBack(): Promise<AuditFailure> {
  const error: unknown = await found().catch((error) => error);
  assert.ok(error instanceof AuditFailure, `expected held-back, got ${JSON.stringify(error)}`);
  assert.equal(error.code, 'held-back', error.message);
  return error;
}

test('a log without a registry has nothing to compare', async () => {
  const alone = new ExampleLog(1);
  await alone.begin();
  assert.equal((await auditOf(await publicLogOf(alone.log), { openOther: openerOf([]) })).registry, null);
});

test('a revocation that the log has not seen is told with what came since, and is no untruth', async () => {
  const { device, entry, looked } = await play();
  const { registry: report, warnings, unchecked } = await found();
  const [missing, ...others] = report!.missing;
  assert.deepEqual(others, []);
  const { ms, events, ...rest } = missing;
  assert.deepEqual(rest, {
    ...{ device, owner: ada.id, entry, stated: null, since: looked },
    credited: [{ run: log.run, amount: 50, works: 1 }],
  });
  assert.equal(events, log.entries.length - 1 - looked);
  // Its clock first ticked in the round.
  assert.equal(ms, log.state.time_ms);
  assert.deepEqual([report!.hub, report!.seen, report!.entries, report!.reason], [registry.hub.id, 2, 3, null]);
  assert.ok(
    warnings.some((what) => what.includes(device) && what.includes('since: 1 work of it')),
    warnings.join('\n'),
  );
  assert.ok(!unchecked.some((what) => what.includes('registry')));
});

test('one that is taken in is no finding', async () => {
  const { entry } = await play();
  await see(entry);
  const { registry: report, warnings } = await found();
  assert.deepEqual([report!.missing, report!.seen, report!.entries], [[], 3, 3]);
  assert.ok(!warnings.some((what) => what.includes('registry')));
});

test('a hub that has signed what it saw, and left the revocation out, is caught at that event', async () => {
  const { device, entry } = await play();
  await see();
  const index = log.entries.length - 1;
  await log.playRound();
  await bind(createIdentity());
  await see();
  const { message, details } = await heldBack();
  assert.ok(message.includes(device) && message.includes(ada.id), message);
  assert.deepEqual([details.index, details.entry, details.stated, details.since], [index, entry, index, index]);
  assert.deepEqual([details.works, details.runs], [1, [log.run]], 'only what came after');
  // Taken in at last, it is no finding any more: the log says when.
  await see(entry);
  assert.deepEqual((await found()).registry!.missing, []);
});

test('a hub has as many events as it needs for what came before, and no more', async () => {
  const { device } = await play();
  registry = new ExampleLog(0);
  log = new ExampleLog(1);
  const worker = log.workers[0].identity as DrawingIdentity;
  await see(await bind(worker));
  const more = [];
  for (let i = 0; i < LOGS_LIMITS.registry_facts; i++) more.push(await bind(createIdentity()));
  await registry.add(ada, revoked(worker.id));
  await see(...more);
  const { missing } = (await found()).registry!;
  assert.deepEqual(
    missing.map((one) => [one.device, one.stated]),
    [[worker.id, 1]],
  );
  assert.notEqual(worker.id, device);
  const later = [];
  for (let i = 0; i < LOGS_LIMITS.registry_facts; i++) later.push(await bind(createIdentity()));
  await see(...later);
  assert.equal((await heldBack()).details.index, 2, 'what came later was taken instead');
});

test('a device that the log did not know yet could not be revoked there', async () => {
  await play();
  log = new ExampleLog(1);
  await see(0);
  const { missing } = (await found()).registry!;
  assert.deepEqual(
    missing.map((one) => one.stated),
    [0],
  );
  await bind(createIdentity());
  await see();
  assert.equal((await heldBack()).details.index, 1);
});

test('a registry that is not read, or whose own log is not true, accuses nobody', async () => {
  await play();
  const unread = async (more: object, reason: RegExp) => {
    const { registry: report, unchecked, warnings } = await found(more);
    assert.deepEqual([report!.missing, report!.entries], [[], null]);
    assert.match(report!.reason!, reason);
    assert.ok(
      unchecked.some((what) => what.includes(report!.reason!)),
      unchecked.join('\n'),
    );
    assert.ok(!warnings.some((what) => what.includes('registry')));
  };
  await unread({}, /not asked for/);
  await unread({ openOther: openerOf([]) }, /./);
  // Another history under the same key; one that is too short.
  const other = new ExampleLog(0);
  await other.tick();
  await other.tick();
  await unread({ openOther: openerOf([await logOf(registry.hub, other.entries)]) }, /its log is not true/);
  await see();
  await unread(
    { openOther: openerOf([await logOf(registry.hub, registry.entries.slice(0, 1))]) },
    /has 1 entries, and the hub has seen 3/,
  );
});

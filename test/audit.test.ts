// Nobody can lie about a run: a real one is audited at its address and in its folder, then changed in every way a cheating hub could, and each is found.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPublicLog } from '#public-log-open';
import type { LocalAuditOptions } from '../src/audit/local-audit.ts';
import { type AuditFailureCode, PublicLogError } from '../src/audit/public-log.ts';
import type { RoundArithmetic } from '../src/audit/why.ts';
import { mergedList } from '../src/core/rounds/merged-list.ts';
import { runStatuses } from '../src/hub/views.ts';
import { signCheckpoint } from '../src/ledger/checkpoint.ts';
import { createMemoryLogStore } from '../src/ledger/testing/memory-log.ts';
import { openTransparencyLog } from '../src/ledger/transparency-log.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import { sha256Hex } from '../src/protocol/hash.ts';
import { createIdentity } from '../src/protocol/identity.ts';
import {
  acceptedAt,
  colludingRound,
  EMISSION,
  finishedRun,
  ROUNDS,
  replayed,
  withBlobs,
  withoutLastWorkOf,
} from './finished-run.ts';
import {
  auditAt,
  bodyOf,
  type Entry,
  type Forgery,
  forge,
  indexOfType,
  isUntrue,
  serveForgery,
  signedEntry,
} from './forged-log.ts';

test('audit, shares and why of a real run', async (t) => {
  const run = await finishedRun(t);
  const { url, folder, receipts } = run;
  await t.test(
    'a finished run passes at its address, in the folder of its hub, and after the hub was killed',
    async () => {
      const audited = run.net.ask('audit', url, '--json', '--receipts', receipts);
      const verdict = await audited.line((line) => line.type === 'audit');
      assert.equal(await audited.ended, 0);
      assert.equal(verdict.verdict, 'true');
      assert.deepEqual(verdict.models, { recomputed: ROUNDS, submissions: 2 * ROUNDS });
      assert.ok((verdict.receipts as number) >= ROUNDS + 2);
      assert.ok(verdict.status_compared);
      const heads = verdict.heads as { named: number; authors: number; false_authors: string[] };
      // Each worker's work and each seal of the validator names a head.
      assert.ok(heads.named >= 4 * ROUNDS && heads.authors === 3, JSON.stringify(heads));
      assert.deepEqual(heads.false_authors, []);
      const { clocks, rounds } = verdict.clocks as { clocks: number; rounds: number };
      assert.deepEqual([clocks, rounds >= ROUNDS], [3, true], 'of the owner and of both workers');
      assert.match((verdict.cannot_tell as string[])[0], /^no witness has cosigned this log/);
      assert.deepEqual(verdict.unchecked, []);
      const emitted = 1_000_003 + 1_000_003 + 500_001;
      assert.deepEqual(verdict.shares, { emitted, held: emitted, unearned: 0 });

      const proof = join(run.net.folder, 'event.tlog-proof');
      writeFileSync(proof, await (await fetch(`${url}/log/proof/1`)).text());
      const verified = run.net.ask('verify', proof, '--json');
      const { hub: signer, index, valid } = await verified.line((line) => line.type === 'proof');
      assert.deepEqual([signer, index, valid, await verified.ended], [verdict.hub, 1, true, 0]);

      const beside = await auditAt(folder);
      assert.equal(beside.hub, verdict.hub);
      assert.ok(beside.events >= (verdict.events as number), 'a folder can be audited while its hub runs');
      run.hubProcess.process.kill('SIGKILL');
      await run.hubProcess.ended;
      const after = await auditAt(folder, { threads: 2, receipts });
      assert.equal(after.events, beside.events);
      assert.deepEqual(
        [after.models?.recomputed, after.unchecked.filter((what) => /model|submission/.test(what))],
        [ROUNDS, []],
      );

      const human = run.net.ask('audit', folder);
      assert.equal(await human.ended, 0);
      const text = human.lines.map((line) => line.text).join('\n');
      assert.match(text, /Everything that was checked is true/);
    },
  );
  const { entries, hub } = run;
  const forged = (list: readonly (Entry | Uint8Array)[]): Promise<Forgery> =>
    forge(
      run.net.folder,
      run.folder,
      hub,
      list.map((entry) => (entry instanceof Uint8Array ? entry : entry.bytes)),
    );
  const replace = (index: number, ...by: (Entry | Uint8Array)[]) => [
    ...entries.slice(0, index),
    ...by,
    ...entries.slice(index + 1),
  ];
  const lastMerge = indexOfType(entries, 'round.merged', -1);
  const lastWork = indexOfType(entries, 'work.submitted', -1);
  const lastVerdict = indexOfType(entries, 'verdict.given', -1);
  const merged = bodyOf(entries[lastMerge], 'round.merged');
  const flip = (bytes: Uint8Array, at: number): Uint8Array =>
    bytes.map((byte, i) => (i === (at + bytes.length) % bytes.length ? byte ^ 1 : byte));

  await t.test('an unchanged copy passes, so that what follows fails for its own reason', async () => {
    const copy = await forged(entries);
    const report = await auditAt(copy.folder, { receipts: run.receipts });
    assert.deepEqual([report.unchecked, report.events], [[], entries.length]);
  });

  await t.test('a byte flipped in the body of an event, tree and all re-signed', async () => {
    const { folder } = await forged(replace(lastWork, flip(entries[lastWork].bytes, -80)));
    await isUntrue(folder, 'bad-event', { index: lastWork });
    await isUntrue(folder, 'bad-event', { index: lastWork }, { threads: 2 });
  });
  await t.test('a byte flipped in a signature', async () => {
    const { folder } = await forged(replace(lastVerdict, flip(entries[lastVerdict].bytes, -1)));
    await isUntrue(folder, 'bad-event', { index: lastVerdict, reason: 'bad-signature', type: 'verdict.given' });
  });
  await t.test('a verdict turned round without its author', async () => {
    const verdict = bodyOf(entries[lastVerdict], 'verdict.given');
    const { bytes: other } = await signedEntry(run.vera, { ...verdict, accepted: false });
    const spliced = new Uint8Array([...other.subarray(0, -64), ...entries[lastVerdict].bytes.subarray(-64)]);
    const { folder } = await forged(replace(lastVerdict, spliced));
    await isUntrue(folder, 'bad-event', { index: lastVerdict, reason: 'bad-signature' });
  });
  await t.test('two events swapped', async () => {
    const { submission } = bodyOf(entries[lastVerdict], 'verdict.given');
    const work = entries.findIndex(({ event }) => event.id === submission);
    const swapped = [...entries];
    [swapped[work], swapped[lastVerdict]] = [swapped[lastVerdict], swapped[work]];
    await isUntrue((await forged(swapped)).folder, 'refused', { index: work, refusal: 'unknown-submission' });
  });
  await t.test('a join left out', async () => {
    const join_ = entries.findIndex(
      ({ event: { author, body } }) => author === run.ada.id && body.type === 'peer.joined',
    );
    await isUntrue((await forged(replace(join_))).folder, 'refused', { type: 'round.opened', refusal: 'wrong-phase' });
  });
  await t.test('an event twice', async () => {
    const twice = replace(lastWork, entries[lastWork], entries[lastWork]);
    await isUntrue((await forged(twice)).folder, 'refused', { index: lastWork + 1, refusal: 'already-submitted' });
  });
  await t.test('a verdict by a key that was not there, and one by the hub', async () => {
    for (const author of [createIdentity(), hub]) {
      const verdict = await signedEntry(author, bodyOf(entries[lastVerdict], 'verdict.given'));
      const { folder } = await forged(replace(lastVerdict, verdict));
      await isUntrue(folder, 'refused', { index: lastVerdict, refusal: 'not-a-validator' });
    }
  });
  await t.test('work by a device after its owner has revoked it', async () => {
    const revoked = await signedEntry(run.owner, { type: 'device.revoked', version: 1, device: run.ada.id });
    const first = entries.findIndex(
      ({ event: { author, body } }) => author === run.ada.id && body.type === 'work.submitted',
    );
    const list = [...entries.slice(0, first), revoked, ...entries.slice(first)];
    await isUntrue((await forged(list)).folder, 'refused', { index: first + 1, refusal: 'device-revoked' });
  });
  await t.test('the clock goes back', async () => {
    const { time_ms } = bodyOf(entries[indexOfType(entries, 'tick', -1)], 'tick');
    const back = await signedEntry(hub, { type: 'tick', version: 1, time_ms: time_ms - 1 });
    await isUntrue((await forged([...entries, back])).folder, 'refused', {
      index: entries.length,
      refusal: 'clock-went-back',
    });
  });
  await t.test('the clock is ahead of the time', async () => {
    const ahead = await signedEntry(hub, { type: 'tick', version: 1, time_ms: Date.now() + 3_600_000 });
    // An honest hub's clock may be wrong: worth a warning, and no accusation.
    const { warnings } = await auditAt((await forged([...entries, ahead])).folder);
    assert.match(warnings[0], /^the hub's clock is (1 h|59 min \d+ s) ahead of yours/);
  });
  await t.test('an unknown type; of an unknown version only the Potluck that wrote it can tell', async () => {
    const versioned = await signEvent(hub, { type: 'tick', version: 2, time_ms: 1 });
    await assert.rejects(auditAt((await forged([...entries, versioned])).folder), {
      code: 'unknown-version',
      message: /^event \d+: a newer Potluck wrote this tick: its version is 2, .*; that one can audit this log$/,
    });
    const unknown = await signEvent(hub, { type: 'shares.granted', version: 1, to: hub.id, shares: 1_000_000 });
    await isUntrue((await forged([...entries, unknown])).folder, 'bad-event', {
      index: entries.length,
      type: 'shares.granted',
    });
  });
  await t.test('an event longer than any may be', async () => {
    const long = await forged(entries);
    long.sql('INSERT INTO entries (idx, bytes) VALUES (?, ?)', entries.length, new Uint8Array(70_000));
    await isUntrue(long.folder, 'bad-bundle', { index: entries.length });
  });
  await t.test('garbage behind the last event', async () => {
    const garbage = new Uint8Array(300).fill(0x84);
    await isUntrue((await forged([...entries, garbage])).folder, 'bad-event', {
      index: entries.length,
      reason: 'malformed',
    });
  });
  await t.test('an entry taken out of the file', async () => {
    const holed = await forged(entries);
    holed.sql('DELETE FROM entries WHERE idx = ?', lastWork);
    await isUntrue(holed.folder, 'bad-bundle', { index: lastWork });
  });

  await t.test('a merge of another list than the verdicts give', async () => {
    const fewer = await signedEntry(hub, { ...merged, ...mergedList(acceptedAt(entries, hub.id, lastMerge).slice(1)) });
    await isUntrue((await forged(replace(lastMerge, fewer))).folder, 'refused', {
      index: lastMerge,
      type: 'round.merged',
      refusal: 'wrong-merge',
    });
  });
  await t.test('a merge into another model', async () => {
    const other = await signedEntry(hub, { ...merged, model: sha256Hex(new Uint8Array(9)) });
    await isUntrue((await forged(replace(lastMerge, other))).folder, 'wrong-model', {
      index: lastMerge,
      found: merged.model,
    });
    await isUntrue(
      (await forged(replace(lastMerge, other))).folder,
      'wrong-model',
      { index: lastMerge },
      { threads: 2 },
    );
  });
  await t.test('a merge that names another bundle', async () => {
    const other = await signedEntry(hub, { ...merged, bundle: sha256Hex(new Uint8Array(9)) });
    await isUntrue((await forged(replace(lastMerge, other))).folder, 'wrong-bundle', { index: lastMerge });
  });
  await t.test('a merge that names another step than its work gives, or something else as left out', async () => {
    const nothing = sha256Hex(new Uint8Array(9));
    assert.ok(merged.step, 'the run merges by steps');
    const step = await signedEntry(hub, { ...merged, step: nothing });
    await isUntrue((await forged(replace(lastMerge, step))).folder, 'wrong-step', { index: lastMerge, blob: nothing });
    const whole = indexOfType(entries, 'round.merged', -1);
    const body = bodyOf(entries[whole], 'round.merged');
    assert.ok(body.checkpoint && body.rest, 'the last merge is kept whole, with what its steps have left out');
    const rest = await signedEntry(hub, { ...body, rest: nothing });
    await isUntrue((await forged(replace(whole, rest))).folder, 'wrong-step', { index: whole, blob: nothing });
  });
  await t.test('a share given to somebody else in the statement of the holders', async () => {
    const stated = indexOfType(entries, 'shares.stated', -1);
    const body = bodyOf(entries[stated], 'shares.stated');
    const changed = await signedEntry(hub, { ...body, shares: body.shares + 1 });
    await isUntrue((await forged(replace(stated, changed))).folder, 'refused', {
      index: stated,
      refusal: 'wrong-statement',
    });
  });
  await t.test(
    'shares that the hub never stated: untrue when the next round opens, named while it may still come',
    async () => {
      const first = indexOfType(entries, 'shares.stated', 0);
      const { folder } = await forged(replace(first));
      await isUntrue(folder, 'refused', { type: 'round.opened', refusal: 'statement-due' });
      const last = indexOfType(entries, 'shares.stated', -1);
      const { unchecked } = await auditAt((await forged(replace(last))).folder);
      assert.match(unchecked.join(), /shares .* not stated them yet/);
    },
  );
  await t.test('work that is none, taken by a hub and a validator who are friends of the worker', async () => {
    const list = await colludingRound(run, lastMerge);
    await isUntrue((await forged(list.entries).then(withBlobs(list.blobs))).folder, 'bad-work', {
      blob: list.work,
      index: list.index,
    });
  });
  await t.test(
    'a submission left out, and everything after it done anew and truly: its receipt tells, and whoever signed after having seen it',
    async () => {
      const { list, blobs, dropped } = await withoutLastWorkOf(run, run.ada.id);
      const { folder } = await forged(list).then(withBlobs(blobs));
      const witnesses = list.filter(
        ({ event: { body } }) => 'seen_head' in body && body.seen_head!.size > dropped.index,
      );
      if (witnesses.length > 0) await isUntrue(folder, 'diverged', {});
      else assert.equal((await auditAt(folder)).models?.recomputed, ROUNDS, 'a log like any other');
      await isUntrue(folder, 'omitted', { index: dropped.index, event: dropped.id }, { receipts: run.receipts });
      const told = run.net.ask('audit', folder, '--receipts', run.receipts);
      assert.equal(await told.ended, 1);
      assert.match(told.lines.map((line) => line.text).join('\n'), /is not true.*omitted/s);
    },
  );
  await t.test('another history shown to the holder of a receipt', async () => {
    const split = indexOfType(entries, 'tick');
    const tick = bodyOf(entries[split], 'tick');
    const other = await signedEntry(hub, { ...tick, time_ms: tick.time_ms + 1 });
    const log = openTransparencyLog(createMemoryLogStore(), hub);
    await log.append(
      [...entries.slice(0, split), other, ...entries.slice(split + 1, split + 4)].map(({ bytes }) => bytes),
    );
    const file = join(run.net.folder, 'second.jsonl');
    const event = Buffer.from(entries[split + 2].bytes).toString('base64');
    writeFileSync(file, `${JSON.stringify({ event, receipt: await log.receipt(split + 2) })}\n`);
    await isUntrue(run.folder, 'diverged', { index: split + 3 }, { receipts: file });
  });

  await t.test(
    'blobs: substituted work, a flipped byte in evidence, in a bundle and in a model, each named',
    async () => {
      const works = [indexOfType(entries, 'work.submitted', 0), indexOfType(entries, 'work.submitted', 1)];
      const [one, two] = works.map((index) => bodyOf(entries[index], 'work.submitted').work);
      const blobs = await openPublicLog(run.folder);
      t.after(() => blobs.close());
      const substituted = await forged(entries);
      substituted.setBlob(one, await blobs.blob(two));
      await isUntrue(substituted.folder, 'corrupt-blob', { index: works[0], blob: one });
      const { evidence } = bodyOf(entries[lastVerdict], 'verdict.given');
      const other = await forged(entries);
      other.setBlob(evidence, flip((await blobs.blob(evidence))!, 10));
      await isUntrue(other.folder, 'corrupt-blob', { index: lastVerdict, blob: evidence });
      const without = await forged(entries);
      without.setBlob(evidence, null);
      const { unchecked, evidence: kept } = await auditAt(without.folder);
      assert.match(unchecked.join(), /the evidence of 1 verdict: it is not kept/);
      assert.equal(kept, entries.filter(({ event }) => event.body.type === 'verdict.given').length - 1);
      for (const blob of [merged.bundle!, merged.model]) {
        const damaged = await forged(entries);
        damaged.setBlob(blob, flip((await blobs.blob(blob))!, 40));
        await isUntrue(damaged.folder, 'corrupt-blob', { index: lastMerge, blob });
      }
    },
  );
  await t.test('blobs: a missing bundle, model or description of the run, each named', async () => {
    const created = indexOfType(entries, 'run.created');
    const { params } = bodyOf(entries[created], 'run.created');
    for (const [blob, index] of [
      [merged.bundle!, lastMerge],
      [merged.model, lastMerge],
      [params, created],
    ] as const) {
      const holed = await forged(entries);
      holed.setBlob(blob, null);
      await isUntrue(holed.folder, 'missing-blob', { index, blob });
    }
  });
  await t.test('blobs that nobody needs any more are told, not hidden and not called a lie', async () => {
    const first = bodyOf(entries[indexOfType(entries, 'round.merged')], 'round.merged');
    const compacted = await forged(entries);
    compacted.setBlob(first.bundle!, null);
    for (const id of acceptedAt(entries, hub.id, indexOfType(entries, 'round.merged'))) {
      const { event } = entries.find((entry) => entry.event.id === id)!;
      compacted.setBlob((event.body as { work: string }).work, null);
    }
    for (const threads of [0, 2]) {
      const report = await auditAt(compacted.folder, { threads });
      assert.equal(report.models?.recomputed, ROUNDS - 1, 'the next checkpoint leads on');
      assert.match(report.unchecked.join('\n'), /1 model version.*not kept/);
    }
    const strict = run.net.ask('audit', compacted.folder, '--strict', '--json');
    assert.equal((await strict.line((line) => line.type === 'audit')).verdict, 'unchecked');
    assert.equal(await strict.ended, 1);
    // The works alone are enough, and so is the bundle alone.
    const half = await forged(entries);
    half.setBlob(first.bundle!, null);
    half.setBlob(bodyOf(entries[lastWork], 'work.submitted').work, null);
    assert.deepEqual((await auditAt(half.folder)).unchecked, []);
  });

  await t.test('checkpoints: another root, a size beyond the log, another signature, another hub', async () => {
    const origin = `potluck/${hub.id}`;
    const log = await openPublicLog(run.folder);
    t.after(() => log.close());
    const { root } = log.head!;
    const withNote = async (note: string) => {
      const changed = await forged(entries);
      changed.sql("UPDATE derived SET bytes = ? WHERE key = 'checkpoint'", new TextEncoder().encode(note));
      return changed.folder;
    };
    const size = entries.length;
    await isUntrue(await withNote(await signCheckpoint(hub, { origin, size, root: flip(root, 3) })), 'wrong-root', {
      index: size - 1,
    });
    await isUntrue(await withNote(await signCheckpoint(hub, { origin, size: size + 5, root })), 'bad-bundle', {
      index: size,
    });
    await isUntrue(
      await withNote(await signCheckpoint(createIdentity(), { origin, size, root })),
      'bad-checkpoint',
      {},
    );
    const note = await signCheckpoint(hub, { origin, size, root });
    await isUntrue(await withNote(note.replace(`\n${size}\n`, `\n${size + 1}\n`)), 'bad-checkpoint', {});
    const { folder } = await forged(entries);
    await isUntrue(folder, 'bad-checkpoint', {}, { hub: createIdentity().id });
  });
  await t.test('tiles and bundles: cut off or changed, in the folder and at the address', async (t2) => {
    const { time_ms } = bodyOf(entries[indexOfType(entries, 'tick', -1)], 'tick');
    const ticks = await Promise.all(
      Array.from({ length: 300 }, (_, i) => signEvent(hub, { type: 'tick', version: 1, time_ms: time_ms + i })),
    );
    const long = await forged([...entries, ...ticks]);
    assert.equal((await auditAt(long.folder, { models: false })).tiles, 1);
    const { url, lie } = await serveForgery(t2, long.folder);
    assert.equal((await auditAt(url, { threads: 2 })).tiles, 3);
    const lies = async (
      path: RegExp,
      change: (bytes: Uint8Array) => Uint8Array | null,
      code: AuditFailureCode,
      details: object,
    ) => {
      lie((asked, bytes) => (path.test(asked) ? change(bytes!) : bytes));
      await isUntrue(url, code, { ...details }, { models: code === 'corrupt-blob' });
    };
    await lies(/tile\/0\/000$/, (bytes) => bytes.slice(0, 100), 'wrong-tile', { index: 0, level: 0 });
    await lies(/tile\/0\/001\.p/, (bytes) => flip(bytes, 33), 'wrong-tile', { index: 256, level: 0 });
    await lies(/entries\/001/, (bytes) => bytes.slice(0, -1), 'bad-bundle', { index: 256 });
    await lies(/entries\/001/, () => null, 'bad-bundle', { index: 256 });
    await lies(new RegExp(`blobs/${merged.bundle}`), (bytes) => flip(bytes, 5), 'corrupt-blob', {
      blob: merged.bundle,
    });
    const disk = await forged([...entries, ...ticks]);
    disk.sql("UPDATE derived SET bytes = substr(bytes, 1, 999) WHERE key = 'tile/0/0'");
    await isUntrue(disk.folder, 'wrong-tile', { index: 0, level: 0 }, { models: false });
  });
  await t.test('another balance shown to visitors than the log gives', async (t2) => {
    const [shown] = runStatuses(replayed(entries, hub.id), { until_ms: () => 0 }, new Map(), () => 0);
    const status = (more: number) => ({
      hub: hub.id,
      runs: [{ ...shown, peers: shown.peers.map((peer) => ({ ...peer, credit_amount: peer.credit_amount + more })) }],
    });
    const { url, lie } = await serveForgery(t2, (await forged(entries)).folder);
    const show = (more: number) => {
      const bytes = new TextEncoder().encode(JSON.stringify(status(more)));
      lie((path, served) => (path === '/status' ? bytes : served));
    };
    show(0);
    assert.ok((await auditAt(url, { models: false })).status_compared);
    show(1);
    await isUntrue(url, 'wrong-status', { run: run.run }, { models: false });
  });
  await t.test('what cannot be read is an error and no verdict', async () => {
    const codeOf = (place: string, options?: LocalAuditOptions) =>
      auditAt(place, options).then(
        () => 'none',
        (error) => (error instanceof PublicLogError ? error.code : error),
      );
    assert.equal(await codeOf(run.net.folder), 'not-a-log');
    const file = join(run.net.folder, 'bad.jsonl');
    appendFileSync(file, 'no receipt\n');
    assert.equal(await codeOf(run.folder, { receipts: file }), 'bad-receipt');
    const [line] = readFileSync(run.receipts, 'utf8').split('\n');
    writeFileSync(file, line.replace('"index":', '"index":1'));
    assert.equal(await codeOf(run.folder, { receipts: file }), 'bad-receipt');
  });

  await t.test(
    'rules that are proposed are paid out on past rounds first, and nothing is sent without --sign',
    async () => {
      const file = join(run.net.folder, 'rules.json');
      const rules = { emission: { ...EMISSION, owner_permille: 1000, workers_permille: 0, validators_permille: 0 } };
      writeFileSync(file, JSON.stringify(rules));
      const ask = (...args: string[]) => run.net.ask('rules', 'propose', run.run.slice(0, 10), ...args, '--json');
      const tested = await ask('--file', file, '--hub', run.folder).line((line) => line.type === 'backtest');
      const accounts = tested.accounts as { account: string; paid: number; would_be: number }[];
      const sum = (what: 'paid' | 'would_be') => accounts.reduce((all, account) => all + account[what], 0);
      assert.equal(sum('would_be'), sum('paid'), 'the same emission, divided otherwise');
      assert.equal(accounts.filter(({ would_be }) => would_be > 0).length, 1);
      writeFileSync(file, '{"judges": 0}');
      const wrong = ask('--file', file, '--hub', run.folder);
      assert.equal(((await wrong.line(() => true)).error as { code: string }).code, 'bad-rules');
    },
  );

  await t.test('shares and why: replayed here, and the numbers add up', async () => {
    const { id } = entries[lastWork].event;
    const ask = (...args: string[]) => run.net.ask(...args, '--hub', run.folder, '--json');
    const asked = [ask('shares', run.run.slice(0, 10)), ask('why', id.slice(0, 12)), ask('why', 'ffff0000ffff')];
    const [shares, why, missing] = await Promise.all(asked.map((potluck) => potluck.line(() => true)));
    const holders = shares.holders as { account: string; shares: number; devices: { name: string }[] }[];
    assert.deepEqual(holders.flatMap(({ devices }) => devices.map(({ name }) => name)).sort(), ['ada', 'bob', 'vera']);

    const round = why.round as RoundArithmetic;
    const parts = [round.owner, round.workers, round.validators];
    const sum = (list: readonly { shares: number }[]) => list.reduce((all, { shares: part }) => all + part, 0);
    for (const part of parts) assert.equal(sum(part.claims), part.shares);
    assert.equal(sum(parts) + round.unearned, round.emitted);
    assert.equal(sum(holders) + (shares.unearned as number), shares.emitted);
    assert.equal(round.emitted, 500_001, 'halved after two rounds');
    const text = (why.sentences as string[]).join('\n');
    assert.match(text, /1 of 1 verdict accepts it, more than half: it was merged/);
    assert.match(text, new RegExp(`This submission earned ${(why.shares as number).toLocaleString('en-US')} shares`));
    assert.equal(await asked[2].ended, 1);
    assert.equal((missing.error as { code: string }).code, 'no-such-submission');
  });
});

// Blobs and updates that are not what they should be: whoever sent them is told, the hub goes on, nothing that was accepted is lost.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { EventBody } from '../src/core/events.ts';
import { CodedError } from '../src/errors.ts';
import { encodeWork, workOverhead } from '../src/games/pretrain/work.ts';
import { openHub } from '../src/hub/hub.ts';
import { LlamaConfigSchema, parameterSpecs } from '../src/model/config.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import type { FromHub } from '../src/protocol/from-hub.ts';
import { sha256Hex } from '../src/protocol/hash.ts';
import { type RunStatus, uploadChallenge, WIRE_LIMITS } from '../src/protocol/messages.ts';
import { BitEncoder } from '../src/training/entropy.ts';
import { codeEven, positionBits } from '../src/training/entropy-models.ts';
import { compressUpdate, encodeUpdate, maxUpdateBytes, SparseOptionsSchema } from '../src/training/sparse.ts';
import { tilingOf } from '../src/training/sparse-tiles.ts';
import { setBlobOnDisk } from './blobs-on-disk.ts';
import { firstModel, hubUnderTest, MODEL, specs, weights } from './raw-hub.ts';

const net = hubUnderTest();
const sparse = SparseOptionsSchema.parse({});

describe('blobs', () => {
  test('whose bytes do not match their hash', () =>
    net.unharmed(async () => {
      const wrong = await net.put(Uint8Array.of(1, 2, 3), { hash: sha256Hex(Uint8Array.of(9)) });
      assert.deepEqual([wrong.status, wrong.code], [400, 'wrong-hash']);
      assert.match(wrong.message!, /expected bytes whose SHA-256 is [0-9a-f]{64}, got [0-9a-f]{64}/);
      assert.equal((await fetch(`${net.hub.url}/blobs/${sha256Hex(Uint8Array.of(9))}`)).status, 404);
    }));

  test('without a signature, with a wrong one, with that of another blob', () =>
    net.unharmed(async () => {
      const bytes = Uint8Array.of(4, 5, 6);
      const other = bytesToHex(await net.ada.sign(uploadChallenge(net.hub.id, sha256Hex(Uint8Array.of(1)))));
      for (const headers of [
        { 'x-potluck-signature': '' },
        { 'x-potluck-signature': 'f'.repeat(128) },
        { 'x-potluck-signature': other },
        { 'x-potluck-peer': net.vera.id },
        { 'x-potluck-peer': 'nobody' },
      ] as Record<string, string>[]) {
        const answer = await net.put(bytes, { headers });
        assert.deepEqual([answer.status, answer.code], [401, 'bad-signature']);
        assert.match(answer.message!, /expected the uploader's signature/);
      }
    }));

  test('that announce too much, or do not say how much', () =>
    net.unharmed(async () => {
      const hash = sha256Hex(Uint8Array.of(7));
      const signature = bytesToHex(await net.ada.sign(uploadChallenge(net.hub.id, hash)));
      const ask = async (headers: Record<string, string | number>): Promise<{ status?: number; code: string }> => {
        const asked = request(`${net.hub.url}/blobs/${hash}`, {
          method: 'PUT',
          headers: { 'x-potluck-peer': net.ada.id, 'x-potluck-signature': signature, ...headers },
        });
        asked.on('error', () => {});
        asked.flushHeaders(); // the refusal comes before a byte of the body is sent
        const [response] = await once(asked, 'response');
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        asked.destroy();
        return { status: response.statusCode, code: JSON.parse(Buffer.concat(chunks).toString()).error.code };
      };
      assert.deepEqual(await ask({ 'content-length': WIRE_LIMITS.blob_bytes + 1 }), { status: 413, code: 'too-large' });
      assert.deepEqual(await ask({ 'transfer-encoding': 'chunked' }), { status: 411, code: 'length-required' });
    }));

  test('under names that are no hashes', () =>
    net.unharmed(async () => {
      for (const name of ['x', '..%2f..%2fhub.key', 'A'.repeat(64)]) {
        const response = await fetch(`${net.hub.url}/blobs/${name}`);
        assert.ok([400, 404].includes(response.status));
        assert.ok((await response.json()).error.code);
      }
    }));
});

/** An update written bit by bit as no encoder would: every code stands for the same bits, positions as given. */
function crafted(
  bits: { range: number; fraction: number },
  position: (i: number, chunk_size: number) => number,
): Uint8Array {
  const encoder = new BitEncoder();
  const coder = encoder;
  let kept_values = 0;
  for (const spec of specs) {
    const { chunks, kept, chunk_size } = tilingOf(spec, sparse.kept_per_tile);
    codeEven(coder, 1, 4);
    codeEven(coder, bits.range, 9);
    codeEven(coder, bits.fraction, 7);
    for (let i = 0; i < chunks * kept; i++) codeEven(coder, position(i % kept, chunk_size), positionBits(chunk_size));
    for (let i = 0; i < chunks * kept; i++) codeEven(coder, 0, 2);
    kept_values += chunks * kept;
  }
  return framed(kept_values, encoder.finish());
}

function framed(kept_values: number, body: Uint8Array, method = 0): Uint8Array {
  const bytes = new Uint8Array(14 + body.length);
  bytes.set([0x50, 0x4c, 0x53, 0x55, 1, method]);
  new DataView(bytes.buffer).setUint32(6, kept_values);
  new DataView(bytes.buffer).setUint32(10, body.length);
  bytes.set(body, 14);
  return bytes;
}

const delta = new Map(
  specs.map(({ name }) => [name, weights.get(name)!.map((value, i) => value * 0.01 + Math.sin(i))]),
);
const honestUpdate = (): Uint8Array => encodeUpdate(specs, compressUpdate(specs, delta, new Map(), sparse), sparse);
/** An update as the work of four steps. */
const asWork = (update: Uint8Array): Uint8Array =>
  encodeWork({ start: new Uint8Array(32), end: new Uint8Array(32), losses: [1, 1, 1, 1], update });
const keptValues = specs.reduce((sum, spec) => {
  const { chunks, kept } = tilingOf(spec, sparse.kept_per_tile);
  return sum + chunks * kept;
}, 0);

const submission = (work: Uint8Array, more: Record<string, unknown> = {}): EventBody =>
  ({
    type: 'work.submitted',
    version: 2,
    run: net.working,
    round: 0,
    attempt: 0,
    base: firstModel,
    work: sha256Hex(work),
    size_bytes: work.length,
    amount: 64,
    numbers: { steps: 4, loss_micro: 1 },
    pledge: 'd'.repeat(64),
    ...more,
  }) as EventBody;

describe('updates', () => {
  const one = { range: 0x7f, fraction: 0 };
  const inOrder = (i: number): number => i;
  const otherModel = parameterSpecs(LlamaConfigSchema.parse({ ...MODEL, intermediate_size: 16, vocab_size: 300 }));
  const ofOther = new Map(
    otherModel.map(({ name, shape }) => [name, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.1)]),
  );
  const cases: [string, () => Uint8Array, string, RegExp][] = [
    ['of NaN', () => crafted({ range: 0xff, fraction: 1 }, inOrder), 'not-finite', /stands for NaN/],
    ['of infinities', () => crafted({ range: 0x1ff, fraction: 0 }, inOrder), 'not-finite', /stands for -Infinity/],
    [
      'with indices out of range',
      () => crafted(one, (i, size) => (size === 384 ? 400 + i : i)),
      'bad-index',
      /position 40\d in a chunk of 384/,
    ],
    ['with an index twice', () => crafted(one, () => 3), 'bad-index', /not ascending/],
    [
      'of another shape',
      () => encodeUpdate(otherModel, compressUpdate(otherModel, ofOther, new Map(), sparse), sparse),
      'wrong-count',
      /expected \d+ kept values/,
    ],
    ['that promise more than they hold', () => framed(0xffff_ffff, new Uint8Array(0)), 'wrong-count', /got 4294967295/],
    [
      'that unpack from nothing',
      () => framed(keptValues, new Uint8Array(0), 1),
      'not-canonical|bad-index|not-finite',
      /update/,
    ],
    ['that were cut off', () => honestUpdate().subarray(0, -2), 'truncated', /announced/],
    ['that are garbage', () => new Uint8Array(200).fill(0xaa), 'bad-magic', /PLSU/],
    ['that are empty', () => framed(keptValues, new Uint8Array(0)).subarray(0, 3), 'truncated', /header of 14 bytes/],
  ];
  for (const [name, make, code, message] of cases) {
    test(name, () =>
      net.unharmed(async () => {
        const work = asWork(make());
        assert.equal((await net.put(work)).status, 201);
        const raw = await net.hello(net.ada, net.working);
        const answer = await raw.event(await signEvent(net.ada, submission(work)));
        assert.ok(answer.type === 'refused');
        assert.match(answer.code, new RegExp(`^(${code})$`));
        assert.match(answer.message, message);
        raw.socket.close();
      }),
    );
  }

  test('that were not uploaded, whose size is another, or which are too large', () =>
    net.unharmed(async () => {
      const raw = await net.hello(net.ada, net.working);
      const work = asWork(honestUpdate());
      const codeOf = async (body: EventBody): Promise<string> => {
        const answer = await raw.event(await signEvent(net.ada, body));
        assert.ok(answer.type === 'refused');
        return `${answer.code}: ${answer.message}`;
      };
      assert.match(await codeOf(submission(work)), /^missing-blob: expected blob [0-9a-f]{64} to be uploaded/);
      await net.put(work);
      assert.match(
        await codeOf(submission(work, { size_bytes: 1 })),
        /^wrong-size: work: the event says 1 bytes, the blob has \d+/,
      );
      const huge = new Uint8Array(maxUpdateBytes(specs, sparse) + workOverhead(4) + 1);
      await net.put(huge);
      assert.match(await codeOf(submission(huge)), /^wrong-size: work: at most \d+ bytes, got \d+/);
      assert.match(await codeOf(submission(work, { base: 'a'.repeat(64) })), /^wrong-model: expected work on model/);
      assert.match(await codeOf(submission(work, { round: 3 })), /^wrong-round: expected work of round 0/);
      raw.socket.close();
    }));
});

test('honest work is taken after all of that; the log replays to the same state; the hub goes on', async () => {
  const work = asWork(honestUpdate());
  await net.put(work);
  const raw = await net.hello(net.ada, net.working);
  const isMerged = (message: FromHub): message is Extract<FromHub, { type: 'run' }> =>
    message.type === 'run' && message.view.round === 1 && message.view.phase === 'working';
  const merged = raw.next(isMerged);
  assert.equal((await raw.event(await signEvent(net.ada, submission(work)))).type, 'accepted');
  await merged;
  raw.socket.close();
  const seen = async (): Promise<RunStatus[]> => {
    const { runs }: { runs: RunStatus[] } = await (await fetch(`${net.hub.url}/status`)).json();
    return runs.map(({ remaining_ms: _, peers, ...run }) => ({
      ...run,
      remaining_ms: 0,
      peers: peers.map((peer) => ({ ...peer, progress: null, bytes_up: 0, bytes_down: 0 })),
    }));
  };
  const before = await seen();
  const events = net.logged.length;
  await net.hub.close();
  await net.open();
  assert.deepEqual(await seen(), before);
  assert.equal(net.logged.length, events);
  await net.unharmed(async () => {});
});

test('a folder with a damaged event or blob does not open, says which, and is not changed by that', async () => {
  const { runs }: { runs: RunStatus[] } = await (await fetch(`${net.hub.url}/status`)).json();
  await net.hub.close();
  const damage = async (name: string, change: (folder: string) => void): Promise<string> => {
    const folder = `${net.folder}-${name}`;
    cpSync(net.folder, folder, { recursive: true });
    change(folder);
    const failure = await openHub({ folder, host: '127.0.0.1', port: 0 }).then(
      () => assert.fail('it opened'),
      (error) => error,
    );
    rmSync(folder, { recursive: true });
    assert.ok(failure instanceof CodedError, String(failure));
    return `${failure.code}: ${failure.message}`;
  };
  const flipped = await damage('event', (folder) => {
    const database = new DatabaseSync(join(folder, 'hub.sqlite'));
    const { bytes } = database.prepare('SELECT bytes FROM entries WHERE idx = 1').get() as { bytes: Uint8Array };
    bytes[bytes.length - 100] ^= 1;
    database.prepare('UPDATE entries SET bytes = ? WHERE idx = 1').run(bytes);
    database.close();
  });
  assert.match(flipped, /^log-rewritten: the log has \d+ entries that do not continue the \d+ entries signed before$/);
  const cut = await damage('cut', (folder) => {
    const database = new DatabaseSync(join(folder, 'hub.sqlite'));
    database.exec('DELETE FROM entries WHERE idx > 3');
    database.close();
  });
  assert.match(cut, /^log-rewritten: the log has 4 entries/);
  const { params } = runs[0];
  const other = Buffer.from('{}');
  assert.match(
    await damage('blob', (folder) => setBlobOnDisk(folder, params, other)),
    /^blob-corrupt: the bytes of blob/,
  );
  assert.match(await damage('gone', (folder) => setBlobOnDisk(folder, params, null)), /^missing-blob: .*expected blob/);
  await net.open();
  await net.unharmed(async () => {});
});

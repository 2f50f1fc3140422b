// Datasets: the same text gives the same shards, every token is in exactly one of them, and what is held out is never in training.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { byteTokenizer, type Tokenizer } from '../model/tokenizer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { seededRandom } from '../protocol/random.ts';
import { DataError } from './corpus-errors.ts';
import { buildDataset, type DatasetOptions, prepareDataset, shardTokensFor, storeDataset } from './dataset.ts';
import { decodeManifest, decodeShard, encodeManifest } from './shards.ts';
import { fileTokens } from './token-file.ts';
import { memoryTokens } from './token-store.ts';

const bytes = byteTokenizer();

/** Builds a dataset into a map from hash to blob. */
async function build(texts: readonly string[], options: DatasetOptions = {}, tokenizer: Tokenizer = bytes) {
  const blobs = new Map<string, Uint8Array>();
  const order: string[] = [];
  const put = async (blob: Uint8Array) => {
    const hash = sha256Hex(blob);
    blobs.set(hash, blob);
    order.push(hash);
    return hash;
  };
  const manifest = await buildDataset(texts, tokenizer, put, options);
  const tokensOf = ({ hash }: { hash: string }) => [...decodeShard(blobs.get(hash)!, manifest)];
  return { manifest, blobs, order, tokensOf };
}

/** Text that hardly repeats. */
function words(count: number, seed = 'words'): string {
  const random = seededRandom('test words', seed);
  return Array.from({ length: count }, () => random.below(1e6).toString(36)).join(' ');
}

/** A tokenizer with any vocabulary: each character is its code point. */
const codePoints = (vocab_size: number): Tokenizer => ({
  vocab_size,
  bos_id: null,
  eos_id: null,
  json: '{}',
  encode: (text) => [...text].map((character) => character.codePointAt(0)!),
  decode: (ids) => String.fromCodePoint(...Array.from(ids)),
  bytesOf: (id) => new TextEncoder().encode(String.fromCodePoint(id)),
});

test('every token of the documents and their separators is in one shard, in order', async () => {
  const texts = [words(3000, 'a'), '', 'é', words(5000, 'b')];
  const { manifest, order, tokensOf } = await build(texts, { shard_tokens: 2048, validation_fraction: 0.2 });
  const entries = new Map([...manifest.train, ...manifest.validation].map((entry) => [entry.hash, entry]));
  const stream = order.slice(0, -1).flatMap((hash) => tokensOf(entries.get(hash)!));
  const expected = texts.filter((text) => text !== '').flatMap((text) => [...bytes.encode(text), 256]);
  assert.deepEqual(stream, expected);
  const held_out = manifest.validation.reduce((sum, { tokens }) => sum + tokens, 0);
  assert.ok(Math.abs(held_out / stream.length - 0.2) < 0.05, `${held_out} of ${stream.length}`);
  assert.equal(manifest.tokenizer, sha256Hex(new TextEncoder().encode(bytes.json)));
  assert.equal(order.at(-1), manifest.tokenizer);
});

test('the manifest of a fixed text is pinned: another machine makes the same dataset', async () => {
  const { manifest } = await build([words(20_000)]);
  assert.equal(sha256Hex(encodeManifest(manifest)), 'e7b41991e3fefb9486d96c4f80e0160075c8199eaea0426ef721813ff40cd96e');
});

test('a small corpus still gives a few dozen shards, a large one shards of the default size', async () => {
  const small = await build([words(20_000)]);
  const count = small.manifest.train.length + small.manifest.validation.length;
  assert.ok(count >= 24 && count <= 40, `${count} shards`);
  const large = await build(Array.from({ length: 30 }, (_, i) => words(10_000, `${i}`)));
  const sizes = [...large.manifest.train, ...large.manifest.validation].map(({ tokens }) => tokens);
  assert.ok(sizes.filter((tokens) => tokens === 32_768).length >= sizes.length - 1);
  assert.ok(sizes.length > 36);
});

test('the size of shards follows from the text: what small ones had stays, a hub takes the pieces of a large one at once', () => {
  assert.deepEqual(
    [10_000, 100_000, 1_114_111, 1_114_112, 65_000_000].map((tokens) => shardTokensFor(tokens, 2)),
    [...[1024, 3125, 34_816, 32_768, 32_768]],
  );
  fc.assert(
    fc.property(fc.double({ min: 16, max: 40, noNaN: true }), fc.constantFrom(1, 2, 4), (log, token_bytes) => {
      const tokens = Math.round(2 ** log);
      const size = shardTokensFor(tokens, token_bytes as 1 | 2 | 4);
      const bytes = size * token_bytes + 16;
      assert.ok(tokens / size <= 262_144, 'as many as a manifest names');
      if (bytes <= 256 * 1024) assert.ok(tokens / size <= 2000, `${tokens / size} pieces of ${bytes} bytes`);
      // 262,144 pieces of half a mebibyte, less their headers.
      if (tokens * token_bytes <= 2 ** 36) assert.ok(bytes <= 512 * 1024 + 16, `${bytes} bytes`);
    }),
  );
});

test('tokens in a file are those in memory, and nothing of them is left', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'potluck-tokens-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const token_bytes of [1, 2, 4] as const) {
    const stores = [memoryTokens(token_bytes), await fileTokens(folder, token_bytes)];
    const random = seededRandom('tokens', String(token_bytes));
    for (const count of [0, 1, 70_000, 1_500_000, 5]) {
      const ids = Uint32Array.from({ length: count }, () => random.below(256 ** Math.min(token_bytes, 3)));
      for (const store of stores) await store.push(count % 2 === 0 ? ids : [...ids]);
    }
    assert.deepEqual(
      stores.map(({ length }) => length),
      [1_570_006, 1_570_006],
    );
    for (const [from, count] of [
      [0, 1_570_006],
      [1_048_570, 20],
      [5, 0],
    ]) {
      assert.deepEqual(await stores[1].read(from, count), Uint8Array.from(await stores[0].read(from, count)));
    }
    assert.deepEqual(await readdir(folder), [], 'the file has no name');
    for (const store of stores) await store.close();
  }
});

test('a text to validate on is held out whole, and what is in both is not learned from', async () => {
  const own = words(3000, 'held out');
  const options = { tokenizer: bytes, shard_tokens: 1024 };
  const prepared = await prepareDataset({ ...options, texts: [words(9000)], validation_texts: [own] });
  const { train, validation } = prepared.manifest;
  assert.equal(prepared.validation_tokens, own.length + 1);
  assert.equal(
    validation.reduce((sum, { tokens }) => sum + tokens, 0),
    own.length + 1,
  );
  assert.equal(
    train.reduce((sum, { tokens }) => sum + tokens, 0),
    words(9000).length + 1,
  );
  assert.equal(prepared.documents, 1);
  const both = prepareDataset({ ...options, texts: [own], validation_texts: [own] });
  await assert.rejects(both, { code: 'no-text', message: /the text to learn from is contained in the other text/ });
  await assert.rejects(prepareDataset({ ...options, texts: [own], validation_texts: [] }), {
    message: /the text to validate on/,
  });
});

test('shards go up several at once; what is there already is not sent again', async () => {
  const texts = [words(60_000)];
  const prepared = await prepareDataset({ tokenizer: bytes, texts, shard_tokens: 2048 });
  const there = new Set<string>();
  const attempt = async (breaks_after: number) => {
    let [sent, asked, under_way, most] = [0, 0, 0, 0];
    const progress: number[] = [];
    const put = async (blob: Uint8Array): Promise<string> => {
      most = Math.max(most, ++under_way);
      await new Promise(setImmediate);
      under_way--;
      if (++sent > breaks_after) throw new Error('the line broke');
      there.add(sha256Hex(blob));
      return sha256Hex(blob);
    };
    const has = async (hash: string): Promise<boolean> => {
      asked++;
      return there.has(hash);
    };
    const stored = storeDataset(prepared, { put, has, onProgress: (done) => void progress.push(done) });
    return {
      failed: await stored.then(
        () => false,
        () => true,
      ),
      sent: sent,
      asked,
      most,
      progress,
    };
  };
  const count = prepared.pieces.length;
  const first = await attempt(100);
  assert.ok(first.failed && first.most > 4 && first.most <= 16);
  assert.ok(first.sent < 130 && first.asked <= 36, 'a new upload is not asked about piece by piece');
  const second = await attempt(Number.POSITIVE_INFINITY);
  assert.ok(!second.failed);
  assert.equal(second.sent, count - 100 + 1, 'the rest and the tokenizer');
  assert.equal(second.progress.at(-1), prepared.shard_bytes);
  assert.deepEqual(
    new Set([...prepared.manifest.train, ...prepared.manifest.validation].map(({ hash }) => hash)),
    new Set([...there].filter((hash) => hash !== prepared.manifest.tokenizer)),
  );
});

test('tiny corpora have a validation split too, and no text at all is refused', async () => {
  const { manifest, tokensOf } = await build(['To be, or not to be']);
  assert.deepEqual([manifest.train.length, manifest.validation.length], [1, 1]);
  assert.equal([...tokensOf(manifest.train[0]), ...tokensOf(manifest.validation[0])].length, 20);
  for (const texts of [[], [''], ['ab']]) {
    await assert.rejects(build(texts), { name: 'DataError', code: 'no-text' });
  }
});

test('text that repeats is never in both splits', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 60 }),
      async (unit, repeats) => {
        const texts = [unit.repeat(repeats * 20)];
        const { manifest } = await build(texts, { shard_tokens: 16, validation_fraction: 0.3 });
        const held_out = new Set(manifest.validation.map(({ hash }) => hash));
        assert.ok(!manifest.train.some(({ hash }) => held_out.has(hash)));
        assert.deepEqual(decodeManifest(encodeManifest(manifest)), manifest);
      },
    ),
  );
});

test('text of which nothing can be held out is refused', async () => {
  await assert.rejects(build(['a'.repeat(20)], {}, codePoints(256)), {
    name: 'DataError',
    code: 'no-text',
    message: /repeats/,
  });
});

test('tokens take one, two or four bytes as the vocabulary needs', async () => {
  for (const [vocab_size, token_bytes] of [
    [256, 1],
    [257, 2],
    [65_536, 2],
    [65_537, 4],
  ] as const) {
    const top = String.fromCodePoint(vocab_size === 65_537 ? 65_536 : vocab_size - 1);
    const { manifest, tokensOf } = await build([`${`abc${top}`.repeat(8)}d`], {}, codePoints(vocab_size));
    assert.equal(manifest.token_bytes, token_bytes);
    assert.equal(Math.max(...tokensOf(manifest.train[0])), vocab_size - 1);
  }
});

test('a shard that is not what the manifest says is refused', async () => {
  const { manifest, blobs } = await build([words(100)]);
  const blob = blobs.get(manifest.train[0].hash)!;
  const refused = (bytes: Uint8Array, says: RegExp) =>
    assert.throws(() => decodeShard(bytes, manifest), { name: 'DataError', code: 'corrupt-data', message: says });
  refused(blob.subarray(0, 15), /header/);
  refused(blob.subarray(0, -1), /bytes, got/);
  refused(Uint8Array.of(...blob, 0), /bytes, got/);
  refused(blob.with(0, 0), /header/);
  refused(blob.with(5, 1), /header/);
  refused(blob.with(17, 2), /token \d+ at 0, the vocabulary has 257/);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (noise, headed) => {
      try {
        decodeShard(headed ? Uint8Array.of(...blob.subarray(0, 16), ...noise) : noise, manifest);
      } catch (error) {
        assert.ok(error instanceof DataError, String(error));
      }
    }),
  );
});

test('a manifest has one encoding; anything else is refused', async () => {
  const { manifest } = await build([words(100)]);
  const bytes = encodeManifest(manifest);
  assert.deepEqual(decodeManifest(bytes), manifest);
  const refused = (value: unknown) => {
    const json = new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
    assert.throws(() => decodeManifest(json), { name: 'DataError', code: 'corrupt-data' });
  };
  refused('');
  refused(JSON.stringify(manifest, null, 1));
  refused({ ...manifest, version: 2 });
  refused({ ...manifest, extra: 1 });
  refused({ ...manifest, token_bytes: 4 });
  refused({ ...manifest, train: [] });
  refused({ ...manifest, validation: manifest.train });
  refused({ ...manifest, tokenizer: manifest.tokenizer.toUpperCase() });
  refused({ ...manifest, train: [{ ...manifest.train[0], tokens: 2 ** 31 }] });
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      refused(value);
    }),
  );
});

test('options out of range are refused', async () => {
  for (const options of [
    { shard_tokens: 1 },
    { shard_tokens: 2.5 },
    { validation_fraction: 0 },
    { validation_fraction: 0.9 },
  ]) {
    await assert.rejects(build(['text'], options), { name: 'DataError', code: 'bad-option' });
  }
});

// Games by name, their settings, and bundles of merged work: whatever comes from a blob is read or refused by name.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { encode } from '@ipld/dag-cbor';
import fc from 'fast-check';
import { decodeBundle, encodeBundle } from './bundle.ts';
import { GameError } from './errors.ts';
import { decodeParams } from './params.ts';
import { isOfThisBuild, loadGame } from './registry.ts';

describe('a game', () => {
  test('is found by its name', async () => {
    assert.equal((await loadGame('pretrain')).name, 'pretrain');
  });

  test('has its line in the table', async () => {
    const files = globSync('*.ts', { cwd: import.meta.dirname });
    const games = files.filter((file) =>
      /^export const game\b/m.test(readFileSync(join(import.meta.dirname, file), 'utf8')),
    );
    assert.ok(games.length > 0);
    for (const file of games) {
      const name = basename(file, '.ts');
      assert.ok(isOfThisBuild(name), `src/games/${file} exports a game: give it a line in registry.ts`);
      assert.equal((await loadGame(name)).name, name);
    }
  });

  test('is none that only looks like one: paths, other files of this room, words of JavaScript', async () => {
    for (const name of [
      '',
      'chess',
      './pretrain',
      '../games/pretrain',
      'pretrain.ts',
      'game',
      'registry',
      'bundle',
      'constructor',
      '__proto__',
      'Pretrain',
      'x'.repeat(500),
    ]) {
      await assert.rejects(() => loadGame(name), { code: 'unknown-game' });
    }
  });
});

describe('settings', () => {
  const text = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
  const good = {
    model: { vocab_size: 8, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 1 },
    dataset: '0'.repeat(64),
    batch: 1,
    context: 2,
    inner_steps: 1,
    learning_rate: 0.1,
    min_learning_rate: 0.1,
    warmup_steps: 0,
  };

  test('are read, and what is wrong with them is named', async () => {
    const game = await loadGame('pretrain');
    assert.equal(((await decodeParams(game, text(good))) as typeof good).batch, 1);
    const bad: [unknown, RegExp][] = [
      ['{', /expected JSON, got 1 bytes that are none/],
      ['null', /params: Invalid input: expected object/],
      [{ ...good, batch: 0 }, /batch: .*>=1/],
      [{ ...good, learning_rate: 'fast' }, /learning_rate/],
      [{ ...good, dataset: '../../etc' }, /dataset/],
      [{ ...good, model: { ...good.model, hidden_size: 1e9 } }, /model\.hidden_size/],
      [{ ...good, model: { ...good.model, hidden_size: 9 } }, /head_dim must be even/],
      [{ ...good, sparse: { kept_per_tile: 0 } }, /sparse\.kept_per_tile/],
    ];
    for (const [value, message] of bad) {
      await assert.rejects(
        () => decodeParams(game, text(value)),
        (error) => error instanceof GameError && error.code === 'bad-params' && message.test(error.message),
      );
    }
    await assert.rejects(() => decodeParams(game, Uint8Array.of(0xff, 0xfe)), { code: 'bad-params' });
  });

  test('of any JSON are settings or a GameError', async () => {
    const game = await loadGame('pretrain');
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.json().map(text),
          fc.object().map((more) => text({ ...good, ...more })),
          fc.uint8Array(),
        ),
        async (bytes) => {
          try {
            await decodeParams(game, bytes);
          } catch (error) {
            assert.ok(error instanceof GameError && error.code === 'bad-params');
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a bundle', () => {
  const works = [
    { work: Uint8Array.of(1, 2), weight: 3 },
    { work: new Uint8Array(0), weight: 1 },
  ];

  test('is read back as it was written', () => {
    assert.deepEqual(decodeBundle(encodeBundle(works)), works);
    assert.deepEqual(decodeBundle(encodeBundle([])), []);
  });

  test('that is none is refused by name', () => {
    const refused = (bytes: Uint8Array): void => {
      assert.throws(
        () => decodeBundle(bytes),
        (error) => error instanceof GameError && error.code === 'bad-bundle',
      );
    };
    for (const value of [
      [2, []],
      [1, [[Uint8Array.of(1), 0]]],
      [1, [[Uint8Array.of(1), 2 ** 40]]],
      [1, [['text', 1]]],
      [1],
      null,
      {},
    ]) {
      refused(encode(value));
    }
    refused(new Uint8Array(0));
    refused(new Uint8Array(1 << 20).fill(0x81)); // nested beyond any stack
    refused(Uint8Array.of(0x82, 1, 0x9b, 0, 0, 0, 1, 0, 0, 0, 0)); // promises four billion works
    refused(Uint8Array.of(...encodeBundle(works), 0));
    const edit = fc.tuple(fc.nat(), fc.nat(255));
    const whole = encodeBundle(works);
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        const bytes = whole.slice();
        for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
        try {
          decodeBundle(bytes);
        } catch (error) {
          assert.ok(error instanceof GameError && error.code === 'bad-bundle');
        }
      }),
      { numRuns: 1000 },
    );
  });
});

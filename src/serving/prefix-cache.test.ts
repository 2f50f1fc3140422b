// The prefix cache: what it hands out holds what it says, memory goes to whoever needs it, and nothing is handed out twice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EngineModel, Sequence } from './engine.ts';
import { ServingError } from './errors.ts';
import { prefixCache } from './prefix-cache.ts';

/** An engine of so many tokens of cache, whose sequences remember what they hold. */
function countingEngine(room: number, context_tokens = 100) {
  let free = room;
  const open = new Set<Sequence>();
  const held = new Map<Sequence, number[]>();
  return {
    open,
    held,
    model: { context_tokens } as EngineModel,
    async openSequence(capacity = room): Promise<Sequence> {
      if (capacity > free) throw new ServingError('no-room', 'full');
      free -= capacity;
      const tokens: number[] = [];
      const sequence: Sequence = {
        get length() {
          return tokens.length;
        },
        append: async (ids) => {
          tokens.push(...Array.from(ids));
          return new Float32Array(1);
        },
        score: async () => new Float32Array(1),
        rewind: (length) => {
          tokens.length = length;
        },
        close: async () => {
          if (open.delete(sequence)) free += capacity;
        },
      };
      open.add(sequence);
      held.set(sequence, tokens);
      return sequence;
    },
  };
}

const count = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => from + i);

test('a prompt with a long common beginning takes over what is known of it, at most all but its last token', async () => {
  const engine = countingEngine(500);
  const cache = prefixCache(engine);
  const first = await cache.take(count(20), 100);
  assert.equal(first.tokens.length, 0);
  await first.sequence.append(count(20));
  first.tokens.push(...count(20));
  await cache.giveBack(first, true);

  const other = await cache.take([...count(5), ...count(15, 90)], 100);
  assert.notEqual(other.sequence, first.sequence, 'five tokens in common are too few');
  const same = await cache.take(count(20), 100);
  assert.equal(same.sequence, first.sequence);
  assert.deepEqual([same.tokens, same.sequence.length], [count(19), 19]);
  const taken = await cache.take(count(20), 100);
  assert.notEqual(taken.sequence, first.sequence, 'somebody uses it');
});

test('a sequence has room for a conversation that grows, where there is any; a smaller one is not used for a larger prompt', async () => {
  const engine = countingEngine(500, 400);
  const cache = prefixCache(engine);
  const first = await cache.take(count(20), 30);
  assert.equal(first.capacity, 64);
  first.tokens.push(...count(20));
  await first.sequence.append(first.tokens);
  await cache.giveBack(first, true);
  const larger = await cache.take(count(30), 65);
  assert.notEqual(larger.sequence, first.sequence);
  assert.equal(larger.capacity, 256);
  const tight = await cache.take([1], 200);
  assert.equal(tight.capacity, 200);
  assert.ok(!engine.open.has(first.sequence), 'what nobody uses made room');
});

test('kept sequences make room, the oldest first; where all are in use, there is none', async () => {
  const engine = countingEngine(200);
  const cache = prefixCache(engine);
  const known = [await cache.take([1], 100), await cache.take([2], 100)];
  await assert.rejects(cache.take([3], 100), { code: 'no-room' });
  for (const [i, one] of known.entries()) {
    one.tokens.push(...count(10, 10 * i));
    await one.sequence.append(one.tokens);
    await cache.giveBack(one, true);
  }
  assert.equal(engine.open.size, 2);
  const next = await cache.take([3], 100);
  assert.ok(!engine.open.has(known[0].sequence) && engine.open.has(known[1].sequence));
  await cache.giveBack(next, false);
  await cache.close();
  assert.equal(engine.open.size, 0);
});

test('whatever is asked for, a sequence holds the tokens that are said of it', async () => {
  const prompts = fc.array(fc.array(fc.nat(1), { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(prompts, async (list) => {
      const engine = countingEngine(200);
      const cache = prefixCache(engine);
      for (const [i, prompt] of list.entries()) {
        const known = await cache.take(prompt, 40);
        assert.deepEqual(engine.held.get(known.sequence), known.tokens);
        assert.ok(known.tokens.length < prompt.length);
        assert.deepEqual(known.tokens, prompt.slice(0, known.tokens.length));
        const rest = prompt.slice(known.tokens.length);
        await known.sequence.append(rest);
        known.tokens.push(...rest);
        await cache.giveBack(known, i % 5 !== 4);
      }
      await cache.close();
      assert.equal(engine.open.size, 0);
    }),
  );
});

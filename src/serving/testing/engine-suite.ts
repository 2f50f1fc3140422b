// What every engine must do, whatever computes it: `engineSuite('name', open)` in a test file adds these tests.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Engine, Sequence } from '../engine.ts';
import { ServingError } from '../errors.ts';

export interface SuiteOptions {
  /** How far two ways of computing the same logits may be apart, of the greatest logit: rounding, not quantisation. */
  readonly tolerance: number;
  /** The greedy text of 48 tokens behind `PROMPT` as another engine with the same weights gives it. */
  readonly expected?: readonly number[];
}

/** Enough that the text depends on more than its last tokens, and that a prompt takes several batches. */
export const PROMPT: readonly number[] = Array.from({ length: 80 }, (_, i) => (i * i * 31 + 7 * i + 65) % 250);
const TEXT_TOKENS = 48;

export function greatest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

/** Tokens behind a prompt, each the likeliest. */
export async function greedyText(
  sequence: Sequence,
  prompt: readonly number[],
  tokens = TEXT_TOKENS,
): Promise<number[]> {
  const text: number[] = [];
  let logits = await sequence.append(prompt);
  for (;;) {
    text.push(greatest(logits));
    if (text.length === tokens) return text;
    logits = await sequence.append(text.slice(-1));
  }
}

const distance = (a: Float32Array, b: Float32Array): number => {
  assert.equal(a.length, b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
};
const size = (logits: Float32Array): number => logits.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** @param open an engine with room for three sequences of at least 140 tokens; the suite closes it */
export function engineSuite(name: string, open: () => Promise<Engine>, options: SuiteOptions): void {
  const near = (a: Float32Array, b: Float32Array, what: string): void => {
    const apart = distance(a, b) / size(b);
    assert.ok(apart <= options.tolerance, `${what}: ${apart} of the greatest logit apart`);
  };
  const refused = (code: string, message?: RegExp) => (error: unknown) => {
    assert.ok(error instanceof ServingError, String(error));
    assert.equal(error.code, code);
    if (message) assert.match(error.message, message);
    return true;
  };
  /** Runs with an engine that is closed afterwards. */
  const withEngine = (what: string, work: (engine: Engine) => Promise<void>): void => {
    test(what, async () => {
      const engine = await open();
      try {
        await work(engine);
      } finally {
        await engine.close();
      }
    });
  };

  describe(name, () => {
    withEngine('writes the same text again, and the one that another engine writes', async (engine) => {
      const [a, b] = [await engine.openSequence(140), await engine.openSequence(140)];
      const text = await greedyText(a, PROMPT);
      assert.deepEqual(await greedyText(b, PROMPT), text);
      assert.ok(new Set(text).size > 8, `a text of its own: ${text}`);
      if (options.expected) assert.deepEqual(text, options.expected);
      assert.equal(a.length, PROMPT.length + TEXT_TOKENS - 1);
    });

    withEngine('goes on from a prefix that it has read as if it had read all', async (engine) => {
      const [a, b] = [await engine.openSequence(), await engine.openSequence()];
      await a.append(PROMPT);
      await greedyText(a, [1, 2, 3], 5);
      a.rewind(60);
      assert.equal(a.length, 60);
      const reused = await a.append([...PROMPT.slice(60, 70), 9]);
      const whole = await b.append([...PROMPT.slice(0, 70), 9]);
      near(reused, whole, 'a reused prefix');
      a.rewind(0);
      near(await a.append([...PROMPT.slice(0, 70), 9]), whole, 'from the beginning');
      assert.throws(() => a.rewind(72), refused('bad-input', /rewind to 72/));
      assert.throws(() => a.rewind(-1), refused('bad-input'));
      assert.throws(() => a.rewind(1.5), refused('bad-input'));
    });

    withEngine('scores each token as if it had been appended', async (engine) => {
      const [a, b] = [await engine.openSequence(), await engine.openSequence()];
      const { vocab_size } = engine.model.tokens;
      await Promise.all([a.append(PROMPT.slice(0, 3)), b.append(PROMPT.slice(0, 3))]);
      const rest = PROMPT.slice(3);
      const rows = await a.score(rest);
      assert.equal(rows.length, rest.length * vocab_size);
      assert.equal(a.length, PROMPT.length);
      for (const [i, token] of rest.entries()) {
        const one = await b.append([token]);
        near(rows.subarray(i * vocab_size, (i + 1) * vocab_size), one, `token ${i}`);
      }
    });

    withEngine('does not let sequences disturb each other', async (engine) => {
      const alone: Float32Array[] = [];
      const others = [PROMPT.slice(0, 33), PROMPT.slice(20, 25), PROMPT.slice(40)];
      for (const prompt of others) {
        const sequence = await engine.openSequence();
        await sequence.append(prompt);
        alone.push(await sequence.append([5]));
        await sequence.close();
      }
      const sequences = await Promise.all(others.map(() => engine.openSequence()));
      const together = await Promise.all(
        sequences.map(async (sequence, i) => {
          await sequence.append(others[i]);
          return sequence.append([5]);
        }),
      );
      for (const [i, logits] of together.entries()) near(logits, alone[i], `sequence ${i}`);
      assert.ok(distance(together[0], together[1]) > 0.1 * size(together[0]), 'they hold different texts');
      // Calls on one sequence wait for each other.
      const [sequence] = sequences;
      sequence.rewind(0);
      const [, last] = await Promise.all([sequence.append(others[0]), sequence.append([5])]);
      near(last, alone[0], 'in turn');
    });

    withEngine('stops soon when it is told to, and is as before', async (engine) => {
      const [a, b] = [await engine.openSequence(), await engine.openSequence()];
      await a.append(PROMPT.slice(0, 20));
      const reason = new Error('enough');
      await assert.rejects(a.append([1], AbortSignal.abort(reason)), reason);
      assert.equal(a.length, 20);
      const controller = new AbortController();
      const aborted = a.append(PROMPT, controller.signal);
      controller.abort(reason);
      await assert.rejects(aborted, reason);
      assert.equal(a.length, 20);
      near(await a.append([7]), await b.append([...PROMPT.slice(0, 20), 7]), 'after an abort');
      await assert.rejects(a.score([1, 2], AbortSignal.abort(reason)), reason);
      // In the middle of a prompt, as soon as a token of another sequence is there.
      a.rewind(20);
      b.rewind(20);
      const late = new AbortController();
      const halved = assert.rejects(a.append([...PROMPT, ...PROMPT.slice(0, 50)], late.signal), reason);
      await b.append([7]);
      late.abort(reason);
      await halved;
      assert.equal(a.length, 20);
      near(await a.append([7, 8]), await b.append([8]), 'after an abort in the middle');
    });

    withEngine('gives places back, and says when there are none', async (engine) => {
      const before = engine.free_tokens;
      const opened: Sequence[] = [];
      const full = async (): Promise<void> => {
        for (;;) opened.push(await engine.openSequence());
      };
      await assert.rejects(full(), refused('no-room'));
      assert.ok(opened.length >= 1 && engine.free_tokens < before);
      await opened[0].append([1, 2, 3]);
      await Promise.all(opened.map((sequence) => sequence.close()));
      assert.equal(engine.free_tokens, before);
      const again = await engine.openSequence();
      assert.equal(again.length, 0);
      await assert.rejects(opened[0].append([1]), refused('bad-input', /closed/));
      await opened[0].close(); // closed already
      assert.ok(engine.free_tokens < before);
    });

    withEngine('refuses what is no token, and what does not fit', async (engine) => {
      const { context_tokens, tokens } = engine.model;
      for (const capacity of [0, -1, 1.5, context_tokens + 1]) {
        await assert.rejects(engine.openSequence(capacity), refused('bad-input', /capacity/));
      }
      const sequence = await engine.openSequence(4);
      for (const id of [-1, tokens.vocab_size, 1.5, Number.NaN, 2 ** 32]) {
        await assert.rejects(sequence.append([id]), refused('bad-input', /is not in/));
      }
      await assert.rejects(sequence.append([]), refused('bad-input', /at least one/));
      await assert.rejects(sequence.score([]), refused('bad-input'));
      await sequence.append([1, 2]);
      await assert.rejects(sequence.append([1, 2, 3]), refused('bad-input', /room for 4/));
      assert.equal(sequence.length, 2);
      await sequence.append([3, 4]);
      await assert.rejects(sequence.append([5]), refused('bad-input'));
    });

    test('is silent once it is closed', async () => {
      const engine = await open();
      const sequence = await engine.openSequence();
      const last = sequence.append(PROMPT).catch((error: unknown) => error);
      await engine.close();
      assert.ok((await last) instanceof Error || ArrayBuffer.isView(await last));
      await assert.rejects(engine.openSequence(), ServingError);
      await assert.rejects(sequence.append([1]), ServingError);
      await engine.close();
    });
  });
}

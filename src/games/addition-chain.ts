// A small game: reach a number from 1 by few additions: hard to find, easy to check (Knuth, The Art of Computer Programming 2, 4.6.3).
import { z } from 'zod';
import { CodedError } from '../errors.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import type { Game, Round, Verdict } from './game.ts';
import { gameOf } from './parts.ts';

const ParamsSchema = z.strictObject({
  /** How large the numbers are. */
  bits: z.int().min(4).max(30).default(20),
  /** How many chains a worker tries in a round. */
  tries: z.int().min(1).max(1_000_000).default(2000),
});
type Params = z.infer<typeof ParamsSchema>;
type Task = { readonly params: Params; readonly round: Round; readonly peer: string; readonly n: number };
/** The newest chains that the network has found: a number, and the length of its shortest known chain. */
type State = readonly (readonly [n: number, length: number])[];
const ChainSchema = z.array(z.int().min(1)).min(2).max(64);
const StateSchema = z.array(z.tuple([z.int(), z.int()])).max(1000);

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const decode = <T>(schema: z.ZodType<T>, bytes: Uint8Array): T => {
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    throw new CodedError('bad-form', `expected JSON of whole numbers, got ${bytes.length} bytes`);
  }
};

/** Additions of the method that everybody knows: double, and add 1 where a bit is set. */
const byBinary = (n: number): number => n.toString(2).length - 2 + n.toString(2).replaceAll('0', '').length;
const atLeast = (n: number): number => Math.ceil(Math.log2(n));

/** A chain by chance: mostly as far as possible, now and then not. */
function tryChain(n: number, random: Random): number[] {
  const chain = [1];
  for (let last = 1; last < n; last = chain.at(-1)!) {
    const steps = chain.filter((step) => last + step <= n);
    chain.push(last + steps[Math.max(0, steps.length - 1 - (random.below(4) === 0 ? random.below(4) : 0))]);
  }
  return chain;
}

/** Why it is no chain to n; null: it is one. */
function flawOf(chain: readonly number[], n: number): string | null {
  if (chain[0] !== 1 || chain.at(-1) !== n) return 'wrong-ends';
  const isSum = (value: number, at: number): boolean =>
    chain.slice(0, at).some((a) => value - a > 0 && chain.slice(0, at).includes(value - a));
  return chain.every((value, at) => at === 0 || isSum(value, at)) ? null : 'no-sum';
}

export const game = gameOf<Game<Params, Task, State>>({
  name: 'addition-chain',
  rules: {
    params: ParamsSchema,
    unit: 'additions saved',
    first: () => [],
    task(params, round, peer) {
      const low = 2 ** (params.bits - 1);
      return { params, round, peer, n: low + 1 + 2 * seededRandom('chain', round.seed, peer).below(low / 2) };
    },
    merge(_params, state, accepted) {
      const best = new Map(state);
      for (const chain of accepted.map(({ work }) => decode(ChainSchema, work))) {
        const n = chain.at(-1)!;
        best.set(n, Math.min(best.get(n) ?? 64, chain.length - 1));
      }
      return [...best].slice(-1000);
    },
    encodeState: (_params, state) => encode(state),
    decodeState: (_params, bytes) => decode(StateSchema, bytes),
    checkForm: (_params, work) => void decode(ChainSchema, work),
    sizes: () => ({ max_bytes: 1024, dense_bytes: 1024 }),
  },
  work: {
    async perform({ params, round, peer, n }, device, signal) {
      const random = seededRandom('tries', round.seed, peer);
      let best: number[] | null = null;
      for (let tries = 1; tries <= params.tries && !signal.aborted; tries++) {
        const chain = tryChain(n, random);
        if (!best || chain.length < best.length) best = chain;
        const amount = Math.max(0, byBinary(n) - (best.length - 1));
        await device.progress({ amount, numbers: { tries, length: best.length - 1 } });
      }
      const saved = best ? byBinary(n) - (best.length - 1) : 0;
      if (best === null || saved <= 0) return null;
      return { work: encode(best), amount: saved, numbers: { length: best.length - 1 } };
    },
    async check({ n }, { work, amount }): Promise<Verdict> {
      const chain = decode(ChainSchema, work);
      const saved = byBinary(n) - (chain.length - 1);
      const flaw = flawOf(chain, n) ?? (saved < 1 ? 'no-better' : amount !== saved ? 'not-what-it-says' : null);
      const numbers = { length: chain.length - 1, length_by_binary: byBinary(n) };
      const verdict = { numbers, score_micro: saved * 1e6, evidence: { n, chain } };
      return flaw
        ? { ...verdict, accepted: false, fraud: flaw !== 'no-better', code: flaw, weight: 0 }
        : { ...verdict, accepted: true, fraud: false, code: 'ok', weight: saved };
    },
  },
  shows: {
    metrics: [{ name: 'excess_micro', words: 'mean excess', unit: 'additions', better: 'lower' }],
    numbers: {
      work: [
        { name: 'tries', words: 'chains tried', unit: 'chains' },
        { name: 'length', words: 'length of the chain', unit: 'additions' },
      ],
      verdict: [
        { name: 'length', words: 'length of the chain', unit: 'additions' },
        { name: 'length_by_binary', words: 'by doubling', unit: 'additions' },
      ],
    },
    async evaluate({ bits }, state) {
      const excess = state.map(([n, length]) => length - atLeast(n));
      const mean = excess.reduce((sum, value) => sum + value, 0) / Math.max(1, excess.length);
      return { excess_micro: Math.round((excess.length > 0 ? mean : bits) * 1e6) };
    },
  },
});

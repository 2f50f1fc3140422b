// What `potluck game new` writes: a game that works and imports only `potluck/game`, with what to change. docs/writing-a-game.md shows it.

/** The text of a game's file. */
export const startOfGame = (
  name: string,
): string => `// ${name}: find a number whose hash begins with many zero bits. Long to find, at once to check.
import { CodedError, type Game, gameOf, type Round, sha256, z } from 'potluck/game';

// Change this first: the settings that a run's owner may give.
const ParamsSchema = z.strictObject({ tries: z.int().min(1).max(1_000_000).default(3000) });
type Params = z.infer<typeof ParamsSchema>;
type Task = { readonly params: Params; readonly round: Round; readonly peer: string };
type State = number; // how many numbers the network has kept

const BITS = { name: 'bits', words: 'leading zero bits', unit: 'bits' };
const utf8 = new TextEncoder();
const read = (bytes: Uint8Array): number => Number(new TextDecoder().decode(bytes));
const zeroBits = ({ round, peer }: Task, number: number): number =>
  Math.clz32(new DataView(sha256(utf8.encode(\`\${round.seed}\\n\${peer}\\n\${number}\`)).buffer).getUint32(0));

export const game = gameOf<Game<Params, Task, State>>({
  name: '${name}',
  // Pure: the same in, the same bytes out, on every machine.
  rules: {
    params: ParamsSchema,
    unit: 'hashes', // what work is counted and paid in
    first: () => 0,
    // What is asked. It follows from the round's seed and the peer: nobody picks a question, or uses another's answer.
    task: (params, round, peer) => ({ params, round, peer }),
    // What the network keeps of the work that judges accepted.
    merge: (_params, state, accepted) => state + accepted.length,
    encodeState: (_params, state) => utf8.encode(String(state)),
    decodeState: (_params, bytes) => read(bytes),
    checkForm(_params, work) { // what a hub refuses at once
      if (!/^[1-9]\\d{0,8}$/.test(new TextDecoder().decode(work))) throw new CodedError('bad-form', 'expected a number');
    },
    sizes: () => ({ max_bytes: 9, dense_bytes: 9 }),
  },
  work: {
    // How it is done. It reports each piece of work, and hands in what it has when it is stopped.
    async perform(task, device, signal) {
      let [tried, best] = [0, { number: 0, bits: 0 }];
      while (tried < task.params.tries && !signal.aborted) {
        const bits = zeroBits(task, ++tried);
        if (bits > best.bits) best = { number: tried, bits };
        await device.progress({ amount: tried, numbers: { bits: best.bits, tried } });
      }
      if (best.bits === 0) return null;
      return { work: utf8.encode(String(best.number)), amount: 2 ** best.bits, numbers: { bits: best.bits, tried } };
    },
    // What it is worth: nothing that a worker says of itself decides about it. A bit more takes twice the work.
    async check(task, { work, amount }) {
      const bits = zeroBits(task, read(work));
      const accepted = bits > 0 && 2 ** bits === amount;
      const found = accepted ? { code: 'ok', weight: amount } : { code: 'not-what-it-says', weight: 0 };
      return { ...found, accepted, fraud: !accepted, score_micro: bits, numbers: { bits }, evidence: { bits } };
    },
  },
  shows: {
    metrics: [{ name: 'kept', words: 'numbers kept', unit: 'numbers', better: 'higher' }],
    // What else is said of work, and found in it, for people: nobody is paid by it.
    numbers: { work: [BITS, { name: 'tried', words: 'numbers tried', unit: 'numbers' }], verdict: [BITS] },
    evaluate: async (_params, state) => ({ kept: state }), // an integer for each metric, for people
  },
});
`;

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

const utf8 = new TextEncoder();
const read = (bytes: Uint8Array): number => Number(new TextDecoder().decode(bytes));
const zeroBits = ({ round, peer }: Task, number: number): number => {
  const hash = sha256(utf8.encode(\`\${round.seed}\\n\${peer}\\n\${number}\`));
  return Math.clz32(new DataView(hash.buffer).getUint32(0));
};

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
      let best = { number: 0, bits: 0 };
      for (let number = 1; number <= task.params.tries && !signal.aborted; number++) {
        const bits = zeroBits(task, number);
        if (bits > best.bits) best = { number, bits };
        await device.progress({ steps: number, loss: -best.bits, tokens: number });
      }
      if (best.bits === 0) return null;
      return { work: utf8.encode(String(best.number)), steps: 1, tokens: 2 ** best.bits, loss_micro: -best.bits };
    },
    // What it is worth: nothing that a worker says of itself decides about it. A bit more takes twice the work.
    async check(task, { work, steps, tokens }) {
      const bits = zeroBits(task, read(work));
      const accepted = bits > 0 && 2 ** bits === tokens && steps === 1;
      const numbers = { score_micro: bits, loss_before_micro: 0, loss_after_micro: -bits, evidence: { bits } };
      const found = accepted ? { code: 'ok', weight: tokens } : { code: 'not-what-it-says', weight: 0 };
      return { ...numbers, ...found, accepted, fraud: !accepted };
    },
  },
  shows: {
    metrics: [{ name: 'kept', words: 'numbers kept', unit: 'numbers', better: 'higher' }],
    evaluate: async (_params, state) => ({ kept: state }), // an integer for each metric, for people
  },
});
`;

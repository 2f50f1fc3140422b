// short-program: write a program of few characters that follows a curve; judges run it at places that its author could not know.
import { CodedError, type Device, type Game, gameOf, seededRandom, z } from 'potluck/game';

const ParamsSchema = z.strictObject({ characters: z.int().max(200).default(56), tries: z.int().min(1).default(600) });
type Task = { readonly tries: number; readonly draw: string | null; readonly curve: readonly number[] };
const GRID = Array.from({ length: 33 }, (_, i) => i / 16 - 1);
const [utf8, text] = [new TextEncoder(), (bytes: Uint8Array) => new TextDecoder().decode(bytes)];
const heightsAt = (places: number[], { curve }: Task) =>
  places.map((x) => curve.reduce((sum, c, i) => sum + (c * [1, x, x * x, x * x * x][i % 4]) / (2 + i + x), 0));
const gap = (a: number[], b: number[] = []) => a.reduce((sum, y, i) => sum + Math.abs(y - (b[i] ?? 0)), 0);
/** How many times as close as y = 0 the program is at these places; 1 where it gives nothing, whatever it does. */
async function closeness(device: Device, task: Task, program: string, places: number[]) {
  const result = await device.run!(`(xs) => xs.map(${program})`, places, { steps: 10_000_000 });
  const heights = heightsAt(places, task);
  const away = gap(heights, result.kind === 'value' && Array.isArray(result.value) ? result.value : []);
  return Math.floor(gap(heights) / Math.max(1e-6, away)) || 0;
}

export const game = gameOf<Game<z.infer<typeof ParamsSchema>, Task, number>>({
  ...{ name: 'short-program', needs: ['run'] },
  rules: {
    ...{ params: ParamsSchema, unit: 'times', first: () => 0, merge: (_, kept, accepted) => kept + accepted.length },
    task({ tries }, { seed, draw }, peer) {
      const random = seededRandom('curve', seed, peer); // a curve of its own: nobody can use another's program
      return { tries, draw, curve: Array.from({ length: 9 }, () => random.below(2001) / 100 - 10) };
    },
    ...{ encodeState: (_, state) => utf8.encode(String(state)), decodeState: (_, bytes) => Number(text(bytes)) },
    checkForm({ characters }, work) {
      if (work.length > characters || !/^x=>./.test(text(work))) throw new CodedError('bad-form', 'expected x=>…');
    },
    sizes: ({ characters }) => ({ max_bytes: characters, dense_bytes: characters }),
  },
  work: {
    async perform(task, device, signal) {
      const [random, heights] = [seededRandom('search', ...task.curve), heightsAt(GRID, task)];
      let [best, least] = [[0, 0, 0, 0], Number.POSITIVE_INFINITY];
      for (let steps = 1; steps <= task.tries && !signal.aborted; steps++) {
        const size = 2 ** random.below(9);
        const near = best.map((number) => number + random.below(2 * size + 1) - size);
        const found = GRID.map((x) => near.reduce((all, number) => all * x + number) / 100);
        if (gap(heights, found) < least) [best, least] = [near, gap(heights, found)];
        await device.progress({ amount: 1, numbers: {} });
      }
      const program = `x=>[${best}].reduce((s,c)=>s*x+c)/100`;
      const amount = await closeness(device, task, program, GRID);
      return amount < 20 ? null : { work: utf8.encode(program), amount, numbers: {} };
    },
    async check(task, { work, amount }, device) {
      const places = GRID.map((x) => seededRandom('place', task.draw ?? '', x).below(2001) / 1000 - 1);
      const close = await closeness(device, task, text(work), places);
      const weight = close >= 16 ? Math.min(close, amount) : 0; // another peer's program is not as close
      const found = { accepted: weight > 0, fraud: false, code: weight > 0 ? 'ok' : 'not-close', weight };
      return { ...found, score_micro: close, numbers: {}, evidence: { close } };
    },
  },
  shows: {
    metrics: [{ name: 'kept', words: 'programs kept', unit: 'programs', better: 'higher' }],
    evaluate: async (_params, kept) => ({ kept }),
  },
});

// tiny-training: a game from a file that trains, also in a tab. Workers fit a line to points of their own; judges train it again.
import { CodedError, type Device, type Game, Graph, gameOf, gradients, ops, seededRandom, z } from 'potluck/game';

const ParamsSchema = z.strictObject({ steps: z.int().min(1).max(10_000).default(40), rate: z.number().default(0.1) });
type Params = z.infer<typeof ParamsSchema>;
type Task = { readonly params: Params; readonly xs: Float32Array; readonly ys: Float32Array };
type Line = readonly [slope: number, height: number];

const [POINTS, TRUE_LINE, SAME] = [32, [2, 1], 1e-4]; // different kernels round differently: SAME is far above that
const lineIn = (bytes: Uint8Array): Line => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return [view.getFloat32(0, true), view.getFloat32(4, true)];
};
const bytesOf = ([slope, height]: Line) => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat32(0, slope, true);
  view.setFloat32(4, height, true);
  return new Uint8Array(view.buffer);
};
const between = (a: Line, b: readonly number[]) => Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]);

/** One step of gradient descent. The weights stay on the device from step to step. */
function trainingStep(rate: number) {
  const graph = new Graph();
  const [x, y] = ['x', 'y'].map((name) => graph.input(name, 'float32', [POINTS]));
  const weights = ['slope', 'height'].map((name) => graph.state(name, [1]));
  const away = ops.sub(ops.add(ops.mul(x, weights[0]), weights[1]), y);
  const loss = ops.reduceMean(ops.mul(away, away), [0]);
  const found = gradients(loss, weights);
  for (const [i, weight] of weights.entries()) graph.advance(weight, ops.sub(weight, ops.mul(found[i], rate)));
  graph.output('loss', loss);
  return graph.compile();
}

async function train({ params, xs, ys }: Task, device: Device, most: number, signal?: AbortSignal) {
  const program = await device.runtime.load(trainingStep(params.rate));
  const tensor = (data: Float32Array) => ({ dtype: 'float32', shape: [POINTS], data }) as const;
  await program.writeState(new Map(['slope', 'height'].map((name) => [name, Float32Array.of(0)])));
  let steps = 0;
  while (steps < most && !signal?.aborted) {
    const { loss } = await program.run({ x: tensor(xs), y: tensor(ys) });
    await device.progress({ amount: ++steps * POINTS, numbers: { loss_micro: Math.round(loss.data[0] * 1e6) } });
  }
  const found = await program.readState(['slope', 'height']);
  await program.close();
  return { steps, line: [found.get('slope')![0], found.get('height')![0]] as const };
}

export const game = gameOf<Game<Params, Task, Line>>({
  name: 'tiny-training',
  needs: ['compute'],
  rules: {
    params: ParamsSchema,
    unit: 'points', // that were learned from
    first: () => [0, 0],
    task(params, { seed }, peer) {
      const random = seededRandom('points', seed, peer);
      const xs = Float32Array.from({ length: POINTS }, () => random.below(2001) / 1000 - 1);
      return { params, xs, ys: xs.map((x) => TRUE_LINE[0] * x + TRUE_LINE[1] + random.below(201) / 1000 - 0.1) };
    },
    merge(_params, state, accepted) {
      const all = accepted.reduce((sum, { weight }) => sum + weight, 0);
      const mean = (i: 0 | 1) => accepted.reduce((sum, { work, weight }) => sum + (lineIn(work)[i] * weight) / all, 0);
      return all > 0 ? [mean(0), mean(1)] : state;
    },
    encodeState: (_params, state) => bytesOf(state),
    decodeState: (_params, bytes) => lineIn(bytes),
    checkForm(_params, work) {
      if (work.length !== 8 || !lineIn(work).every(Number.isFinite))
        throw new CodedError('bad-form', 'expected a line');
    },
    sizes: () => ({ max_bytes: 8, dense_bytes: 8 }),
  },
  work: {
    async perform(task, device, signal) {
      const { steps, line } = await train(task, device, task.params.steps, signal);
      return steps === 0 ? null : { work: bytesOf(line), amount: steps * POINTS, numbers: {} };
    },
    async check(task, { work, amount }, device) {
      const steps = amount / POINTS;
      const claimed = Number.isInteger(steps) && steps <= task.params.steps;
      const away = claimed ? between((await train(task, device, steps)).line, lineIn(work)) : Number.POSITIVE_INFINITY;
      const same = away <= SAME;
      const found = { accepted: same, fraud: !same, code: same ? 'ok' : 'another-line', weight: same ? amount : 0 };
      return { ...found, score_micro: 0, numbers: {}, evidence: { claimed } };
    },
  },
  shows: {
    metrics: [{ name: 'away_micro', words: 'distance from the line', unit: 'units', better: 'lower' }],
    numbers: { work: [{ name: 'loss_micro', words: 'loss', unit: 'squares' }] },
    evaluate: async (_params, state) => ({ away_micro: Math.round(between(state, TRUE_LINE) * 1e6) }),
  },
});

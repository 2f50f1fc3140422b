// The distance of honest work, and of lies, from its repetition on another kind of runtime: the figures behind training/tolerances.ts.
import { z } from 'zod';
import type { Duty } from '../core/rounds/panel.ts';
import { encodeBundle } from '../games/bundle.ts';
import type { Claim, Device, Judging, Round } from '../games/game.ts';
import { memoryBlobs } from '../games/memory-blobs.ts';
import { memoryDrawer } from '../games/memory-drawer.ts';
import { decodeWork, encodeWork } from '../games/pretrain/work.ts';
import { game, type PretrainParams, PretrainParamsSchema } from '../games/pretrain.ts';
import { mergeState } from '../games/state.ts';
import type { Weights } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { seededRandom } from '../protocol/random.ts';
import { claimOf, editUpdate, flipSome } from '../simulation/adversaries/pretrain-update.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { readTexts } from '../training/corpus.ts';
import { defaultCorpus } from '../training/corpus-default.ts';
import { buildDataset } from '../training/dataset.ts';
import { encodeManifest } from '../training/shards.ts';
import { median } from '../training/statistics.ts';
import { decimal, type Report, text, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { table } from './report.ts';

export const options = {
  data: text('text to learn from; otherwise the documentation that npm installed', 'PATH'),
  rounds: whole('rounds of a run with one worker of each class, merged round by round', {
    from: 1,
    to: 10_000,
    usual: 12,
  }),
  steps: whole('inner steps of a round', { from: 1, to: 10_000, usual: 30 }),
  width: whole('of the model with two layers', { from: 1, to: 10_000, usual: 64 }),
  rate: decimal('the peak learning rate', { from: 1e-9, to: 1, usual: 1e-3 }),
};

export const notes = `Four validators judge every worker's work: of each class one that has followed the worker from its first round, and one that came a round
late and does not know the worker's state. Rows of work that is not honest:

  another's data     the same work handed in under another name
  one in 20 turned   the same work with every twentieth value of the update reversed, judged by followers
  half invented      the losses of the second half only continue those of the first
  a drawn place      judges repeat nothing but what looks strange at the drawn place

Columns: how many were judged and how many refused; the greatest distance of the first loss; the least, median and greatest distance of
the losses' mean and, by followers, of the update; the greatest mean distance of losses as a part of the allowed distance; the distance
of the jumps from loss to loss; the least agreement, by latecomers; the greatest overlap with earlier work.`;

const EvidenceSchema = z.object({
  overlap: z.number().optional(),
  first_loss: z.object({ claimed: z.number(), found: z.number() }).optional(),
  repeated: z
    .union([
      z.object({ mean_loss: z.number(), update: z.number().optional() }),
      z.object({
        attempts: z.array(
          z.object({ distance: z.object({ mean: z.number(), jumps: z.number() }), agreement: z.number() }),
        ),
        limits: z.object({ mean_loss: z.number() }),
      }),
    ])
    .optional(),
});

/** One judged piece of work. Distances in nats; null if the check ended before. */
interface Judged {
  readonly pair: string;
  readonly round: number;
  readonly code: string;
  readonly first_loss: number | null;
  readonly mean_loss: number | null;
  readonly update: number | null;
  readonly of_limit: number | null;
  readonly jumps: number | null;
  readonly agreement: number | null;
  readonly overlap: number | null;
}

type Given = Values<typeof options>;

const { blobs, put } = memoryBlobs();

function deviceOn(runtime: Runtime): Device {
  return {
    runtime,
    fetchBlob: async (hash) => blobs.get(hash)!,
    drawer: memoryDrawer(),
    progress: async () => {},
  };
}

async function settingsOf({ data, rounds, steps, width, rate }: Given): Promise<PretrainParams> {
  const tokenizer = byteTokenizer();
  const manifest = await buildDataset(data === null ? defaultCorpus() : readTexts(data), tokenizer, put);
  return PretrainParamsSchema.parse({
    model: {
      vocab_size: tokenizer.vocab_size,
      hidden_size: width,
      intermediate_size: Math.round(width * 2.75),
      num_hidden_layers: 2,
      num_attention_heads: 4,
      max_position_embeddings: 64,
    },
    dataset: await put(encodeManifest(manifest)),
    batch: 12,
    context: 64,
    inner_steps: steps,
    learning_rate: rate,
    min_learning_rate: rate / 10,
    warmup_steps: Math.ceil(rounds * steps * 0.05),
  });
}

export async function run(given: Given): Promise<Report> {
  const params = await settingsOf(given);
  const runtimes = [await createNativeRuntime({ threads: 1 }), await createWasmRuntime({ threads: 1 })];
  try {
    const judged = await play(params, runtimes, given.rounds);
    return { data: judged, text: tableOf(judged) };
  } finally {
    await Promise.all(runtimes.map((runtime) => runtime.close()));
  }
}

async function play(params: PretrainParams, runtimes: readonly Runtime[], rounds: number): Promise<Judged[]> {
  const workers = runtimes.map((runtime) => ({ name: `worker on ${runtime.class}`, device: deviceOn(runtime) }));
  const validators = runtimes.flatMap((runtime) => [
    { late: false, device: deviceOn(runtime) },
    { late: true, device: deviceOn(runtime) },
  ]);
  const judged: Judged[] = [];
  let weights: Weights = initialWeights(params.model, 'tolerance');
  let before: Uint8Array[] = [];
  let last: string | null = null;
  for (let number = 0; number < rounds; number++) {
    const round: Round = { run: 'tolerance', number, rounds, seed: sha256Hex(Uint8Array.of(number)), draw: null, last };
    const claims: Claim[] = [];
    for (const { name, device } of workers) {
      const claim = await game.perform(game.task(params, round, name, weights), device, new AbortController().signal);
      if (!claim) throw new BenchError('engine-failed', `round ${number}: ${name} learned nothing`);
      claims.push(claim);
    }
    for (const [i, claim] of claims.entries()) {
      const judging = (runtime: string, duty: Duty): Judging => ({
        ...{ runtime, ...duty, time_ms: Number.POSITIVE_INFINITY },
        earlier: async () => [...before, ...claims.slice(0, i).map(({ work }) => work)],
      });
      const by = workers[i];
      const at = (name: string, handed_in: Claim, validator: Device, duty: Duty = ALL_OF_IT) =>
        game.check(
          game.task(params, round, name, weights),
          handed_in,
          validator,
          judging(by.device.runtime.class, duty),
        );
      const invented = halfInvented(params, claim);
      for (const { late, device } of validators) {
        if (late && number === 0) continue;
        const pair = `${by.device.runtime.class} by ${late ? 'late ' : ''}${device.runtime.class}`;
        if (late) {
          judged.push(measured('half invented, late', number, await at(by.name, invented, device)));
          for (const [name, handed_in] of [
            ['a drawn place', claim],
            ['half invented, a drawn place in it', invented],
          ] as const) {
            const duty = { repeat_permille: 0, looks: true, place: LOOKED_AT * (0.5 + ((number * 7 + i) % 10) / 20) };
            judged.push(measured(name, number, await at(by.name, handed_in, device, duty)));
          }
        }
        judged.push(measured(pair, number, await at(by.name, claim, device)));
        if (late) continue;
        judged.push(measured("another's data", number, await at(workers[1 - i].name, claim, device)));
        judged.push(measured('one in 20 turned', number, await at(by.name, turned(params, claim), device)));
      }
    }
    before = claims.map(({ work }) => work);
    const merged = claims.map(({ work, amount }) => ({ work, weight: amount }));
    weights = await mergeState(game, params, weights, merged);
    last = await put(encodeBundle(merged));
    console.error(`round ${number + 1} of ${rounds}`);
  }
  return judged;
}

/** The duty of a judge that repeats everything. */
const ALL_OF_IT: Duty = { repeat_permille: 1000, looks: true, place: 0 };
/** Below this part of all places a judge looks at a drawn step and the next. */
const LOOKED_AT = 0.667;

/** The claim with invented losses in its second half that continue those of the first. */
function halfInvented(params: PretrainParams, claim: Claim): Claim {
  const honest = decodeWork(claim.work);
  const half = { ...claim, work: encodeWork({ ...honest, losses: honest.losses.slice(0, honest.losses.length >> 1) }) };
  return claimOf(params.inner_steps, params, half, seededRandom('half'), 0);
}

/** The claim with every twentieth value of its update reversed. */
function turned(params: PretrainParams, claim: Claim): Claim {
  let at = 0;
  return editUpdate(params, claim, (update) => flipSome(update, () => at++ % 20 === 0));
}

function measured(pair: string, round: number, { code, evidence }: { code: string; evidence: object }): Judged {
  const { overlap, first_loss, repeated } = EvidenceSchema.parse(evidence);
  const followed = repeated && 'mean_loss' in repeated ? repeated : null;
  const loose = repeated && 'attempts' in repeated ? repeated : null;
  const best = loose?.attempts.toSorted((a, b) => a.distance.mean - b.distance.mean)[0];
  return {
    ...{ pair, round, code },
    first_loss: first_loss ? Math.abs(first_loss.claimed - first_loss.found) : null,
    mean_loss: followed?.mean_loss ?? best?.distance.mean ?? null,
    update: followed?.update ?? null,
    of_limit: best && loose ? best.distance.mean / loose.limits.mean_loss : null,
    jumps: best?.distance.jumps ?? null,
    agreement: best?.agreement ?? null,
    overlap: overlap ?? null,
  };
}

type Measure = 'first_loss' | 'mean_loss' | 'update' | 'of_limit' | 'jumps' | 'agreement' | 'overlap';

function tableOf(judged: readonly Judged[]): string {
  const rows = [...Map.groupBy(judged, ({ pair }) => pair)].map(([pair, list]) => {
    const known = (name: Measure): number[] => list.map((entry) => entry[name]).filter((value) => value !== null);
    const figure = (values: readonly number[], of: (...values: number[]) => number, digits: number): string =>
      values.length === 0 ? '–' : of(...values).toFixed(digits);
    const spread = (name: Measure, digits: number): string => {
      const of = [Math.min, (...values: number[]) => median(values), Math.max];
      return of.map((each) => figure(known(name), each, digits)).join(' / ');
    };
    return [
      pair,
      String(list.length),
      String(list.filter(({ code }) => code !== 'ok').length),
      figure(known('first_loss'), Math.max, 5),
      spread('mean_loss', 5),
      spread('update', 4),
      figure(known('of_limit'), Math.max, 2),
      spread('jumps', 4),
      figure(known('agreement'), Math.min, 3),
      figure(known('overlap'), Math.max, 2),
    ];
  });
  const headings = ['work, validator', 'judged', 'refused', 'first loss', 'losses', 'update'];
  return table([...headings, 'of the limit', 'jumps', 'agreement', 'overlap'], rows);
}

// A model that takes more memory to train than a device may use, trained by real processes that hold a stage each: the peak of every process.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parameterSpecs } from '../model/config.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { createRun } from '../owner/owner.ts';
import { trainingFor } from '../owner/run-settings.ts';
import { observeHub } from '../peer/hub-observer.ts';
import { createIdentity } from '../protocol/identity.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { sizeOf } from '../tensor/shape.ts';
import { configOf, LEARNING_RATE, shapeOf, type Workload } from './compute-workload.ts';
import { BenchError } from './errors.ts';
import { type MeasuredProcess, startMeasured } from './measured-process.ts';
import { peakOf } from './pipeline-memory.ts';
import { table } from './report.ts';

/** What a device may use. */
const LIMIT_BYTES = 400e6;
/** Bytes as tokens. Few tokens in a batch: weights are what a device cannot hold, and a round takes seconds. */
const MODELS: Readonly<Record<'large' | 'tiny', Workload>> = {
  large: { vocab: 256, layers: 12, heads: 8, width: 560, feed_forward: 1536, context: 64, batch: 1 },
  tiny: { vocab: 256, layers: 2, heads: 2, width: 16, feed_forward: 32, context: 16, batch: 2 },
};
/** Two steps of two micro-batches: the peak is there after one. */
const STEPS = 2;
const MICRO_BATCHES = 2;
/** The longest time of a round: for all processes on one busy machine. A round ends as soon as all have handed in. */
const ROUND_SECONDS = 900;

export interface LargerOptions {
  readonly text: string;
  readonly model: string;
  readonly stages: number;
  readonly replicas: number;
  readonly rounds: number;
}

export interface LargerRow {
  readonly process: string;
  /** From 1; null: it holds none, or the whole. */
  readonly stage: number | null;
  readonly peak_bytes: number;
}

export interface LargerResult {
  readonly parameters: number;
  readonly limit_bytes: number;
  /** The validator's loss in nats, of the first model where it was measured, and of the last. */
  readonly losses: { readonly first: number | null; readonly last: number | null };
  readonly merged_submissions: number;
  readonly rows: readonly LargerRow[];
}

/** Trains in stages and exports. Throws BenchError `engine-failed` where a process ends with an error. */
export async function runLarger(options: LargerOptions): Promise<LargerResult> {
  const workload = options.model === 'tiny' ? MODELS.tiny : MODELS.large;
  const whole = await peakOf({ workload, stages: options.stages, stage: null });
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-'));
  const processes: MeasuredProcess[] = [];
  try {
    const trained = await trainInStages(folder, processes, workload, options);
    const parameters = parameterSpecs(configOf(workload)).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    const rows = [{ process: 'training of the whole', stage: null, peak_bytes: whole.peak_bytes }, ...trained.rows];
    return { parameters, limit_bytes: LIMIT_BYTES, ...trained, rows };
  } finally {
    await Promise.allSettled(processes.map((one) => one.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function trainInStages(
  folder: string,
  processes: MeasuredProcess[],
  workload: Workload,
  { text, stages, replicas, rounds }: LargerOptions,
) {
  const start = (name: string, ...args: string[]): MeasuredProcess => {
    const own = join(folder, name);
    mkdirSync(own);
    const started = startMeasured(args, own, { POTLUCK_HOME: join(own, 'home') });
    processes.push(started);
    return started;
  };
  const hub = start('hub', 'hub', '--port', '0', '--no-page', '--folder', join(folder, 'hub', 'kept'));
  const url = String((await hub.line('listening')).url);
  const workers = stages * replicas;
  const training = trainingFor({
    ...{
      rounds,
      round_seconds: ROUND_SECONDS,
      steps: STEPS,
      micro_batches: MICRO_BATCHES,
      min_workers: workers,
      stages,
    },
    ...{ batch: workload.batch, context: workload.context, learning_rate: LEARNING_RATE },
  });
  const settings = {
    name: 'larger',
    texts: [text],
    tokenizer: byteTokenizer(),
    model: shapeOf(workload),
    seed: 'bench',
  };
  const run = await createRun(url, createIdentity(), join(folder, 'owner'), { ...settings, ...training });
  const join_ = (name: string, role: string): MeasuredProcess => {
    const words = ['--device', 'cpu', '--threads', '1', '--alone', '--role', role, '--name', name];
    return start(name, 'join', url, '--run', run, '--folder', join(folder, name, 'kept'), ...words);
  };
  const validator = join_('validator', 'validator');
  const names = Array.from({ length: workers }, (_, i) => `worker ${i + 1}`);
  const peers = new Map(names.map((name) => [name, join_(name, 'worker')]));
  const failed = processes.map((one) => one.failed);
  const { status, stageOf } = await Promise.race([finished(url, run), ...failed]);
  const exported = start('export', 'export', run, join(folder, 'export', 'model'), '--hub', url);
  const export_ = { process: 'export', stage: null, ...(await exported.ended) };
  const rows: LargerRow[] = [];
  for (const [name, worker] of peers) {
    rows.push({ process: name, stage: (stageOf.get(name) ?? 0) + 1, ...(await worker.stop()) });
  }
  rows.sort((a, b) => a.stage! - b.stage!);
  rows.push({ process: 'validator', stage: null, ...(await validator.stop()) }, export_);
  rows.push({ process: 'hub', stage: null, ...(await hub.stop()) });
  const [{ first, last }] = status.metrics;
  const merged_submissions = status.peers.reduce((sum, peer) => sum + peer.merged_submissions, 0);
  return { losses: { first, last }, merged_submissions, rows };
}

/** Resolves when the run is over and its last model measured; with the stage that each worker held last. */
function finished(url: string, run: string) {
  const stageOf = new Map<string, number>();
  let told = '';
  return new Promise<{ status: RunStatus; stageOf: ReadonlyMap<string, number> }>((resolve, reject) => {
    const observer = observeHub(
      url,
      (runs) => {
        const status = runs.find((candidate) => candidate.run === run);
        if (!status) return;
        const { phase, round, submitted } = status;
        const now = `round ${round} ${phase}: ${submitted} handed in${status.problem ? `, ${status.problem}` : ''}`;
        if (now !== told) console.error(now);
        told = now;
        for (const { name, stage } of status.peers) if (stage !== undefined) stageOf.set(name, stage);
        if (status.phase !== 'finished' || status.evaluated_rounds !== status.rounds) return;
        observer.close();
        resolve({ status, stageOf });
      },
      () => {
        observer.close();
        reject(new BenchError('engine-failed', 'the hub does not answer any more'));
      },
    );
  });
}

export function largerTable({ parameters, limit_bytes, losses, merged_submissions, rows }: LargerResult): string {
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  const cells = rows.map(({ process, stage, peak_bytes }) => [
    ...[process, stage === null ? '–' : String(stage), megabytes(peak_bytes)],
    peak_bytes <= limit_bytes ? 'yes' : 'no',
  ]);
  const nats = (loss: number | null): string => (loss === null ? '–' : loss.toFixed(3));
  const headings = [`${(parameters / 1e6).toFixed(1)}M parameters`, 'stage', 'peak', `≤ ${megabytes(limit_bytes)}`];
  const learned = `validation loss from ${nats(losses.first)} to ${nats(losses.last)}, ${merged_submissions} pieces of work merged`;
  return `${table(headings, cells)}\n${learned}`;
}

// The memory of `bench pipeline`: the peak of a process that trains one stage of a model, beside that of one that trains the whole.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { estimatedLoads, type Load, type ModelLoads, type StageRange, splitModel } from '../model/pipeline/split.ts';
import { configOf, WORKLOADS, type Workload } from './compute-workload.ts';
import { BenchError } from './errors.ts';
import { table } from './report.ts';

const CHILD = join(import.meta.dirname, 'pipeline-memory-child.ts');
const PeakSchema = z.object({ idle_bytes: z.number().positive(), peak_bytes: z.number().positive() });

const size = z.int().min(1);
const WorkloadSchema = z.object({
  ...{ vocab: size, layers: size, heads: size, width: size, feed_forward: size, context: size, batch: size },
}) satisfies z.ZodType<Workload>;

/** What the child is told: a workload, whose batch is that of a micro-batch, and a stage of so many; null: the whole model. */
export const MemoryTaskSchema = z.object({
  workload: WorkloadSchema,
  stages: z.int().min(1),
  stage: z.int().min(0).nullable(),
});
export type MemoryTask = z.infer<typeof MemoryTaskSchema>;

/** Sequences of a micro-batch: few, so that activations do not hide what a stage saves. */
const BATCH = 2;

/** Measures the workload `medium`, or the tiny one where the tiny model is asked for. */
export async function memoryReport(model: string, stages: number) {
  const name = model === 'tiny' ? 'tiny' : 'medium';
  const workload = { ...WORKLOADS[name], batch: BATCH };
  const loads = estimatedLoads(configOf(workload), workload);
  const ranges = splitModel(loads, stages);
  const whole = await peakOf({ workload, stages, stage: null });
  const rows = [{ what: 'whole', ...whole, estimated_bytes: null as number | null, parts: '' }];
  for (const [stage, range] of ranges.entries()) {
    const parts = [range.embedding && 'embedding', `${range.end - range.first} layers`, range.head && 'head'];
    rows.push({
      what: `stage ${stage + 1} of ${stages}`,
      ...(await peakOf({ workload, stages, stage })),
      estimated_bytes: bytesOf(loads, range),
      parts: parts.filter(Boolean).join(', '),
    });
  }
  const megabytes = (bytes: number | null): string => (bytes === null ? '–' : `${(bytes / 1e6).toFixed(0)} MB`);
  const cells = rows.map(({ what, parts, peak_bytes, idle_bytes, estimated_bytes }) => [
    ...[what, parts || 'all', megabytes(peak_bytes), megabytes(peak_bytes - idle_bytes), megabytes(estimated_bytes)],
  ]);
  const headings = [`memory, ${name}`, 'parts', 'peak of its process', 'above idle', 'estimated'];
  return { data: rows, text: table(headings, cells) };
}

function bytesOf(loads: ModelLoads, { embedding, first, end, head }: StageRange): number {
  const parts: Load[] = [
    ...(embedding ? [loads.embedding] : []),
    ...loads.layers.slice(first, end),
    ...(head ? [loads.head] : []),
  ];
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Trains in a process of its own, and measures that. Throws BenchError `engine-failed`. */
export async function peakOf(task: MemoryTask) {
  try {
    const args = ['--disable-warning=ExperimentalWarning', CHILD, JSON.stringify(task)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    return PeakSchema.parse(JSON.parse(stdout));
  } catch (error) {
    throw new BenchError('engine-failed', `memory of ${JSON.stringify(task)}: ${(error as Error).message}`);
  }
}

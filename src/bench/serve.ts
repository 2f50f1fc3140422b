// What a token costs: our own decoder and llama.cpp alone, each in a process of its own with one thread, in turns; and the memory that they hold.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { parameterCount } from '../games/pretrain/params.ts';
import { parameterSpecs } from '../model/config.ts';
import { GIVES_BACK } from '../serving/freed-memory.ts';
import { missingLlama } from '../serving/llama-package.ts';
import { median } from '../training/statistics.ts';
import { list, oneOf, type Report, type Values, whole } from './bench.ts';
import { nextMessage } from './child-messages.ts';
import { spread, table } from './report.ts';
import {
  configOfSize,
  type EngineCommand,
  type EngineSettings,
  PROMPT_TOKENS,
  TOGETHER,
  writeModel,
} from './serve-engine.ts';

export const options = {
  size: oneOf('the model', ['m100', 'tiny'], 'm100', 'tiny'),
  engines: list(
    oneOf<EngineSettings['engine']>('llama is left out where it is not installed', ['own', 'own-wasm', 'llama'], 'own'),
    'own,llama',
    'own,llama',
  ),
  stored: list(
    oneOf<EngineSettings['stored']>('how weights are stored', ['f32', 'q8_0', 'q4_0'], 'f32'),
    'f32,q8_0,q4_0',
    'f32,q8_0',
  ),
  rounds: whole('turns of each engine, one after another', { from: 1, to: 1000, usual: 9, quick: 2 }),
  tokens: whole('tokens of a turn', { from: 1, to: 500, usual: 24, quick: 8 }),
};

export const notes = `CPU time of the whole process, so that other work on the machine counts less. A ratio compares the medians of one round; shown are the
median of the ratios and half of their interquartile range. Below 1 is cheaper than llama.cpp, which here keeps its logits to itself: its binding takes
another 8 ms to hand over those of a vocabulary of 32,000. Memory is what a process holds beyond an idle one, with ${TOGETHER} sequences of
${PROMPT_TOKENS} tokens; much of llama.cpp's are pages of its file.`;

const Ready = z.object({ idle_bytes: z.number().positive() });
const Measured = z.object({ cpu_ms: z.number().positive(), bytes: z.number().positive() });
const KINDS = ['step', 'together', 'prompt'] as const;

class Engine {
  readonly settings: EngineSettings;
  readonly found: Record<(typeof KINDS)[number], number[]> = { step: [], together: [], prompt: [] };
  idle_bytes = 0;
  bytes = 0;
  readonly #child: ChildProcess;

  constructor(settings: EngineSettings) {
    this.settings = settings;
    this.#child = fork(join(import.meta.dirname, 'serve-engine.ts'), [JSON.stringify(settings)], {
      env: { ...process.env, ...GIVES_BACK }, // as `potluck serve` and the processes of engines
    });
  }

  async ready(): Promise<void> {
    ({ idle_bytes: this.idle_bytes } = await this.#answer(Ready));
  }

  async measure(command: EngineCommand): Promise<void> {
    this.#child.send(command);
    const { cpu_ms, bytes } = await this.#answer(Measured);
    this.found[command.what].push(cpu_ms);
    this.bytes = bytes;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL'); // nothing of it is kept
    await ended;
  }

  async #answer<T>(schema: z.ZodType<T>): Promise<T> {
    return schema.parse(await nextMessage(this.#child, `the engine ${this.settings.engine}`));
  }
}

const parameterBytes: Readonly<Record<string, number>> = { f32: 4, q8_0: 34 / 32, q4_0: 18 / 32 };

function rowOf(engine: Engine, beside: Engine | undefined, parameters: number) {
  const { engine: name, stored } = engine.settings;
  const cpu = Object.fromEntries(KINDS.map((kind) => [`${kind}_cpu_ms`, median(engine.found[kind])]));
  const ratios =
    beside && engine !== beside ? engine.found.step.map((ms, round) => ms / beside.found.step[round]) : null;
  const gains = engine.found.step.map((ms, round) => ms / engine.found.together[round]);
  return {
    ...{ engine: name, stored },
    ...cpu,
    step_ratio: ratios && median(ratios),
    step_ratio_spread: ratios && spread(ratios),
    together_gain: median(gains),
    memory_bytes: engine.bytes - engine.idle_bytes,
    memory_ratio: (engine.bytes - engine.idle_bytes) / (parameters * parameterBytes[stored]),
  };
}

async function measure(stored: EngineSettings['stored'], folder: string, values: Values<typeof options>) {
  const { size, rounds, tokens } = values;
  const gguf = join(folder, `${stored}.gguf`);
  const names = values.engines.filter((name) => name !== 'llama' || missingLlama() === null);
  if (names.includes('llama')) await writeModel(gguf, size, stored);
  const engines = names.map((engine) => new Engine({ engine, size, stored, gguf }));
  try {
    for (const engine of engines) await engine.ready();
    for (let round = 0; round < rounds; round++) {
      for (const what of KINDS) {
        for (let i = 0; i < engines.length; i++) await engines[(i + round) % engines.length].measure({ what, tokens });
      }
    }
    const parameters = parameterCount(parameterSpecs(configOfSize(size)));
    const llama = engines.find(({ settings }) => settings.engine === 'llama');
    return engines.map((engine) => rowOf(engine, llama, parameters));
  } finally {
    await Promise.all(engines.map((engine) => engine.end()));
    rmSync(gguf, { force: true });
  }
}

export async function run(values: Values<typeof options>): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-'));
  try {
    const results: Awaited<ReturnType<typeof measure>> = [];
    for (const stored of values.stored) results.push(...(await measure(stored, folder, values)));
    const fixed = (value: number | null, digits: number): string => (value === null ? '–' : value.toFixed(digits));
    const rows = results.map((row) => [
      `${row.engine}, ${row.stored}`,
      ...KINDS.map((kind) => fixed(row[`${kind}_cpu_ms` as keyof typeof row] as number, 2)),
      row.step_ratio === null ? '–' : `${fixed(row.step_ratio, 2)} ± ${fixed(row.step_ratio_spread, 2)}`,
      fixed(row.together_gain, 2),
      (row.memory_bytes / 2 ** 20).toFixed(0),
      fixed(row.memory_ratio, 2),
    ]);
    const headings = [`${values.size}, CPU-ms`, 'a token', `of ${TOGETHER} at once`, `prompt of ${PROMPT_TOKENS}`];
    const text = table([...headings, '/ llama.cpp', 'gain at once', 'MiB', '/ weights'], rows);
    return { data: { bench: 'serve', size: values.size, results }, text };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// Robust merging: validation loss by the rule that merges updates and by what a third of the workers send instead of training.
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { MERGE_RULES as RULES } from '../training/sparse.ts';
import { BenchError } from './errors.ts';
import { keyOf, readResults } from './parity.ts';
import { type Corpus, readCorpus } from './parity-data.ts';
import { ATTACKS } from './parity-liars.ts';
import { runTrial, type TrialInput, TrialSchema } from './parity-trial.ts';
import { table, writeJson } from './report.ts';

const NOBODY = 'nobody lies';

const HELP = `npm run bench merging [-- OPTIONS]

  --data FILE      Tiny Shakespeare (input.txt of char-rnn)
  --rules LIST     of ${RULES.join(', ')} (default: all)
  --attacks LIST   of ${[NOBODY, ...Object.keys(ATTACKS)].join(', ')} (default: all)
  --model NAME     pilot (default), small, tiny
  --steps N        inner steps of each honest worker (default 300), 15 a round
  --honest N       workers that train (default 4)
  --liars N        liars besides them (default 2, a third of all)
  --results FILE   keeps each finished trial as a line of JSON and skips those it finds there
  --json FILE      the results as JSON; "-" for standard output instead of the table

Real training, as in \`bench parity\`, at its defaults. The honest workers train on the same text in every
trial. Liars know what all honest workers have learned in the round. In brackets: against the first rule when nobody lies.`;

interface Options {
  readonly corpus: Corpus;
  readonly rules: readonly string[];
  readonly attacks: readonly string[];
  readonly trialOf: (rule: string, attack: string) => TrialInput;
  readonly results: string | null;
  readonly json: string | null;
}

interface Measured {
  readonly rule: string;
  readonly attack: string;
  readonly validation_loss: number;
}

/** Measures and prints. Throws BenchError `usage` for options it does not know. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (options === null) {
    console.log(HELP);
    return;
  }
  const { corpus, rules, attacks, trialOf, results, json } = options;
  const known = readResults(results);
  const measured: Measured[] = [];
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    for (const attack of attacks) {
      for (const rule of rules) {
        const trial = trialOf(rule, attack);
        const key = keyOf(trial, corpus);
        let result = known.get(key);
        if (!result) {
          result = await runTrial(runtime, corpus, TrialSchema.parse(trial));
          if (results !== null) appendFileSync(results, `${JSON.stringify({ key, rule, attack, trial, ...result })}\n`);
        }
        console.error(`${rule}, ${attack}: ${result.validation_loss.toFixed(4)}`);
        measured.push({ rule, attack, validation_loss: result.validation_loss });
      }
    }
  } finally {
    await runtime.close();
  }
  if (json !== null) writeJson(json, measured);
  if (json !== '-') console.log(tableOf(measured, rules, attacks));
}

function tableOf(measured: readonly Measured[], rules: readonly string[], attacks: readonly string[]): string {
  const lossOf = (rule: string, attack: string) =>
    measured.find((one) => one.rule === rule && one.attack === attack)!.validation_loss;
  const honest = attacks.includes(NOBODY) ? lossOf(rules[0], NOBODY) : null;
  const cell = (loss: number) => {
    if (honest === null) return loss.toFixed(4);
    const percent = 100 * (loss / honest - 1);
    return `${loss.toFixed(4)} (${percent < 0 ? '' : '+'}${percent.toFixed(1)} %)`;
  };
  const rows = attacks.map((attack) => [attack, ...rules.map((rule) => cell(lossOf(rule, attack)))]);
  return table(['validation loss', ...rules], rows);
}

function optionsOf(args: string[]): Options | null {
  const text = { type: 'string' } as const;
  const names = { data: text, rules: text, attacks: text, model: text, steps: text, honest: text, liars: text };
  try {
    const { values } = parseArgs({
      args,
      options: { ...names, results: text, json: text, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) return null;
    if (values.data === undefined) throw new BenchError('usage', 'needs a text: give Tiny Shakespeare by --data FILE');
    const liars = Number(values.liars ?? 2);
    const trialOf = (rule: string, attack: string) =>
      ({
        model: values.model ?? 'pilot',
        steps: Number(values.steps ?? 300),
        workers: Number(values.honest ?? 4),
        inner_steps: 15,
        sparse: { merge_rule: rule },
        ...(attack === NOBODY ? {} : { liars: { count: liars, attack } }),
      }) as TrialInput;
    const rules = listed('--rules', values.rules, RULES);
    const attacks = listed('--attacks', values.attacks, [NOBODY, ...Object.keys(ATTACKS)]);
    for (const attack of attacks) {
      const { error } = TrialSchema.safeParse(trialOf(rules[0], attack));
      if (error) throw new BenchError('usage', `${error.issues[0].path.join('.')}: ${error.issues[0].message}`);
    }
    const { results = null, json = null } = values;
    return { corpus: readCorpus(values.data), rules, attacks, trialOf, results, json };
  } catch (error) {
    throw error instanceof BenchError ? error : new BenchError('usage', (error as Error).message);
  }
}

function listed(option: string, given: string | undefined, all: readonly string[]): readonly string[] {
  const chosen = given?.split(',') ?? all;
  const unknown = chosen.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new BenchError('usage', `${option}: "${unknown}" is none of ${all.join(', ')}`);
  return chosen;
}

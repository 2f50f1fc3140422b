// Robust merging: validation loss by the rule that merges updates and by what a third of the workers send instead of training.
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { MERGE_RULES as RULES } from '../training/sparse.ts';
import { list, oneOf, optional, type Report, text, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { keyOf } from './parity.ts';
import { readCorpus } from './parity-data.ts';
import { ATTACKS, type AttackName } from './parity-liars.ts';
import { MODEL_NAMES, runTrial, type TrialInput, type TrialResult, TrialSchema } from './parity-trial.ts';
import { keptResults, table } from './report.ts';

const NOBODY = 'nobody lies';

const NAMES = [NOBODY, ...Object.keys(ATTACKS)];

export const options = {
  data: text('Tiny Shakespeare (input.txt of char-rnn)', 'FILE'),
  rules: optional(list(oneOf('how updates are merged, otherwise in all ways', RULES, RULES[0]))),
  attacks: optional(list(oneOf('what liars send, otherwise all', NAMES, NOBODY))),
  model: oneOf('the model', MODEL_NAMES, 'pilot'),
  steps: whole('inner steps of each honest worker, 15 a round', { from: 1, to: 100_000, usual: 300 }),
  honest: whole('workers that train', { from: 1, to: 64, usual: 4 }),
  liars: whole('liars besides them: by default a third of all', { from: 1, to: 64, usual: 2 }),
  results: text('keeps each finished trial as a line of JSON, and skips the trials that it finds there', 'FILE'),
};

export const notes = `Real training, as in \`bench parity\`, at its defaults. The honest workers train on the same text in every trial. Liars know what all honest
workers have learned in the round. In brackets: the difference from the first rule when nobody lies.`;

interface Measured {
  readonly rule: string;
  readonly attack: string;
  readonly validation_loss: number;
}

export async function run(given: Values<typeof options>): Promise<Report> {
  const { data, model, steps, honest, liars, results } = given;
  const [rules, attacks] = [given.rules ?? RULES, given.attacks ?? NAMES];
  if (data === null) throw new BenchError('usage', 'needs a text: give Tiny Shakespeare by --data FILE');
  const corpus = readCorpus(data);
  const kept = keptResults<TrialResult>(results);
  const measured: Measured[] = [];
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    for (const attack of attacks) {
      for (const rule of rules) {
        const common = { model, steps, workers: honest, inner_steps: 15, sparse: { merge_rule: rule } };
        const lying = { liars: { count: liars, attack: attack as AttackName } };
        const trial: TrialInput = attack === NOBODY ? common : { ...common, ...lying };
        const { validation_loss } = await kept(keyOf(trial, corpus), async () => {
          return { rule, attack, trial, ...(await runTrial(runtime, corpus, TrialSchema.parse(trial))) };
        });
        console.error(`${rule}, ${attack}: ${validation_loss.toFixed(4)}`);
        measured.push({ rule, attack, validation_loss });
      }
    }
  } finally {
    await runtime.close();
  }
  return { data: measured, text: tableOf(measured, rules, attacks) };
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

// `potluck rules limits`: shows what honest answers of a run's models stay below, as its owner has published it, or publishes what was measured.
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { z } from 'zod';
import { type ServingLimits, servingLimitsOf } from '../audit/serving-limits.ts';
import { type LimitsPublished, MarginsSchema } from '../core/events/limits-published.ts';
import { inMicro } from '../core/serving/margins.ts';
import { firstIssue } from '../errors.ts';
import { sendEvent } from '../peer/send-event.ts';
import { signEvent } from '../protocol/envelope.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import { quantisation } from '../protocol/serving-messages.ts';
import { ownerKeyFile } from './folders.ts';
import { A_RUN, DEFAULT_HUB, jsonOption, logPlace, runHandle, runOwnerOption } from './options.ts';
import { CliError, openOutput } from './output.ts';
import { withLog } from './with-log.ts';

interface LimitsFlags {
  file?: string;
  owner?: string;
  hub: string;
  json: boolean;
}

/** As `npm run bench serve-limits -- --out FILE` writes them, in nats. */
const MeasuredSchema = z.array(
  z.strictObject({
    promised: quantisation,
    judged: quantisation,
    ...{ per_draw: z.number(), allowance: z.number(), end_margin: z.number(), logprob_distance: z.number() },
    ...{ usual_per_draw: z.number(), sum: z.number() },
  }),
);

export function limitsCommand(): Command {
  return new Command('limits')
    .description("show by what answers of a run's models are judged, or publish it")
    .argument('<run>', A_RUN, runHandle)
    .option('--file <json>', 'publish these limits, as "npm run bench serve-limits -- --out FILE" writes them')
    .addOption(runOwnerOption())
    .option('--hub <place>', "the address of the hub, or to show them a hub's folder", logPlace, DEFAULT_HUB)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck rules limits 3fa9c1
  $ potluck export 3fa9c1 ./my-model && npm run bench serve-limits -- --model ./my-model --out limits.json
  $ potluck rules limits 3fa9c1 --file limits.json

The pool lets answers be judged in the quantisation in which they were promised, so that only those limits of the file are published.`,
    )
    .action(async (wanted: string, flags: LimitsFlags) => {
      const output = openOutput(flags.json);
      const measured = flags.file === undefined ? [] : await readMeasured(flags.file);
      const read = (): Promise<ServingLimits> => withLog(flags.hub, (log) => servingLimitsOf(log, wanted));
      let limits = await read();
      if (measured.length > 0) {
        const owner = await loadIdentity(flags.owner ?? ownerKeyFile());
        for (const [i, { quantisation, margins }] of measured.entries()) {
          const number = limits.published + i;
          const about = { run: limits.run, number, quantisation, margins };
          await sendEvent(flags.hub, await signEvent(owner, { type: 'limits.published', version: 1, ...about }));
        }
        limits = await read();
      }
      output.say(describe(limits), { type: 'limits', ...limits });
    });
}

/** Throws CliError `missing-file`, `bad-argument`. */
async function readMeasured(file: string): Promise<Pick<LimitsPublished, 'quantisation' | 'margins'>[]> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new CliError('missing-file', `cannot read ${file}: ${error.message}`);
  });
  const wrong = (why: string): never => {
    throw new CliError('bad-argument', `--file: ${why}`);
  };
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    wrong(`expected JSON: ${(error as Error).message}`);
  }
  const { data = [], error } = MeasuredSchema.safeParse(given);
  if (error) wrong(firstIssue(error));
  const own = data.filter(({ promised, judged }) => promised === judged);
  if (own.length === 0) wrong('expected limits of a quantisation that is judged in itself, got none');
  return own.map(({ promised, ...limits }) => {
    const { data: margins, error } = MarginsSchema.safeParse(inMicro(limits));
    return { quantisation: promised, margins: margins ?? wrong(`${promised}: ${firstIssue(error!)}`) };
  });
}

function describe({ run, margins }: ServingLimits): string {
  const rows = Object.entries(margins).map(([quantisation, of]) => {
    const nats = (micro: number): string => String(micro / 1e6);
    const single = `${nats(of.allowance_micro)} and ${nats(of.per_draw_micro)} a draw, ${nats(of.end_margin_micro)} at an end`;
    const together = `${nats(of.sum_micro)} above ${nats(of.usual_per_draw_micro)} a draw`;
    return `${quantisation.padEnd(5)}  an answer: ${single}; logprobs ${nats(of.logprob_distance_micro)}; a device's answers together: ${together}`;
  });
  if (rows.length === 0)
    return `run ${run.slice(0, 12)}: its owner has published no limits; judges go by the hub's own`;
  return [`run ${run.slice(0, 12)}, in nats:`, ...rows].join('\n');
}

// `potluck credit ACCOUNT`: shows what answers have cost and brought an account, recomputed here from the public log.
import { Command } from 'commander';
import { openPublicLog } from '#public-log-open';
import { type Money, type Movement, moneyOf } from '../audit/money.ts';
import { creditsText } from '../core/serving/credit.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { DEFAULT_HUB, fullId, jsonOption, logPlace } from './options.ts';
import { formatCount, openOutput } from './output.ts';

/** How many of its movements people are shown; --json has all that are kept. */
const SHOWN = 20;

export function creditCommand(): Command {
  return new Command('credit')
    .argument('<account>', 'the id of an account: that an API key belongs to, or that devices earn for', fullId)
    .option('--hub <place>', "the address of the hub, or a hub's folder", logPlace, DEFAULT_HUB)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck credit ACCOUNT
  $ potluck credit ACCOUNT --hub ./potluck-data/demo/hub --json

What a batch charged must be what your receipts of it say: potluck verify FILE.`,
    )
    .action(async (account: string, flags: { hub: string; json: boolean }) => {
      const log = await openPublicLog(flags.hub);
      try {
        const money = await moneyOf(log, account);
        openOutput(flags.json).say(describe(money), { type: 'credit', ...money });
      } finally {
        log.close();
      }
    });
}

function describe(money: Money): string {
  const { account, left_micro, granted_micro, charged_micro, owed_micro, earned_micro, paid_micro, movements } = money;
  const { accepted_parts, refused_parts } = money;
  const judged = accepted_parts + refused_parts;
  const lines = [
    `account ${account}`,
    `credit  ${creditsText(left_micro)} left: ${creditsText(granted_micro)} granted, ${creditsText(charged_micro)} charged for answers`,
    `earned  ${creditsText(owed_micro)} owed: ${creditsText(earned_micro)} earned, ${creditsText(paid_micro)} paid out`,
    ...(judged > 0
      ? [
          `judged  ${formatCount(accepted_parts)} of ${formatCount(judged)} judged parts of its devices' answers were accepted`,
        ]
      : []),
  ];
  const shown = movements.slice(-SHOWN);
  if (shown.length > 0) lines.push('', ...shown.map(describeMovement));
  if (movements.length > shown.length) lines.push(`and ${formatCount(movements.length - shown.length)} before`);
  return lines.join('\n');
}

function describeMovement({ entry, time_ms, credit_micro, earned_micro, batch, reference }: Movement): string {
  const parts = [
    ...(credit_micro > 0 ? [`granted ${creditsText(credit_micro)}`] : []),
    ...(credit_micro < 0 ? [`charged ${creditsText(-credit_micro)}`] : []),
    ...(earned_micro > 0 ? [`earned ${creditsText(earned_micro)}`] : []),
    ...(earned_micro < 0 ? [`paid out ${creditsText(-earned_micro)}`] : []),
  ];
  const why = batch === null ? (reference === null ? '' : ` (${nameOf(reference)})`) : ` in batch ${batch}`;
  return `${new Date(time_ms).toISOString()}  event ${formatCount(entry)}  ${parts.join(', ')}${why}`;
}

// `potluck credit`: shows what answers have cost and brought an account, recomputed here from the public log; and what its hub's operator says of it.
import { join } from 'node:path';
import { Command } from 'commander';
import { type Money, type Movement, moneyOf } from '../audit/money.ts';
import { creditsText } from '../core/serving/credit.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { homeFolder } from './folders.ts';
import { credits, DEFAULT_HUB, fullId, hubUrl, jsonOption, logPlace } from './options.ts';
import { formatCount, openOutput } from './output.ts';
import { withLog } from './with-log.ts';

/** How many of its movements people are shown; --json has all that are kept. */
const SHOWN = 20;

export function creditCommand(): Command {
  return new Command('credit')
    .description('what answers cost and bring an account, and credit for them')
    .addHelpText(
      'after',
      `
Examples:
  $ potluck credit ACCOUNT
  $ potluck credit grant ACCOUNT 25`,
    )
    .addCommand(showCommand(), { isDefault: true })
    .addCommand(sayCommand('grant'))
    .addCommand(sayCommand('pay'));
}

function showCommand(): Command {
  return new Command('show')
    .description('what answers have cost and brought an account')
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
      const money = await withLog(flags.hub, (log) => moneyOf(log, account));
      openOutput(flags.json).say(describe(money), { type: 'credit', ...money });
    });
}

interface SayFlags {
  readonly hub: string;
  readonly folder?: string;
  readonly reference?: string;
  readonly json: boolean;
}

const SAYINGS = {
  grant: {
    about: 'as the operator of a hub that runs, give an account credit for answers',
    example: 'credit grant ACCOUNT 25 --reference "invoice 17"',
    type: 'credit.granted',
  },
  pay: {
    about: 'as the operator of a hub that runs, state that an account was paid elsewhere what it has earned',
    example: 'credit pay ACCOUNT 3.5 --reference "transfer of 2 May"',
    type: 'earnings.paid',
  },
} as const;

function sayCommand(name: keyof typeof SAYINGS): Command {
  const { about, example, type } = SAYINGS[name];
  return new Command(name)
    .description(about)
    .argument('<account>', 'the id of an account', fullId)
    .argument('<credits>', 'how much, such as 0.25', credits)
    .option('--hub <url>', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .option('--folder <dir>', "the hub's folder, with its key (default: hub under ~/.potluck)")
    .option('--reference <text>', 'where it was paid, as free text that everybody can read')
    .addOption(jsonOption())
    .addHelpText('after', `\nExample:\n  $ potluck ${example}`)
    .action(async (account: string, amount_micro: number, { hub: url, folder, reference, json }: SayFlags) => {
      // Loaded here, so that no other command waits for it.
      const { sayMoney } = await import('../owner/credit.ts');
      const hub = await loadIdentity(join(folder ?? join(homeFolder(), 'hub'), 'hub.key'));
      const said = { account, amount_micro, ...(reference !== undefined && { reference }) };
      const { event, left_micro, owed_micro } = await sayMoney(url, hub, type, said);
      const output = openOutput(json);
      const amount = creditsText(amount_micro);
      if (name === 'grant') {
        const words = `account ${account} was granted ${amount}: ${creditsText(left_micro)} left`;
        output.say(words, { type: 'credit_granted', account, amount_micro, event, left_micro });
      } else {
        const words = `account ${account} was paid ${amount}: ${creditsText(owed_micro)} owed`;
        output.say(words, { type: 'earnings_paid', account, amount_micro, event, owed_micro });
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

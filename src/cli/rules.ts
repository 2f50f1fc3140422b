// `potluck rules`: shows a run's rules, or proposes other ones and shows first what they would have paid in past rounds.
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { type Backtest, backtestRules, rulesOf } from '../audit/rules-backtest.ts';
import { sendEvent } from '../peer/send-event.ts';
import { signEvent } from '../protocol/envelope.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { ownerKeyFile } from './folders.ts';
import { A_RUN, DEFAULT_HUB, integer, jsonOption, logPlace, runHandle, runOwnerOption } from './options.ts';
import { CliError, formatCount, openOutput } from './output.ts';
import { limitsCommand } from './rules-limits.ts';
import { withLog } from './with-log.ts';

const LAST_ROUND = 1_000_000;

interface RulesFlags {
  hub: string;
  json: boolean;
}

export function rulesCommand(): Command {
  return new Command('rules')
    .addCommand(showCommand())
    .addCommand(proposeCommand())
    .addCommand(limitsCommand())
    .addHelpText(
      'after',
      '\nExamples:\n  $ potluck rules show 3fa9c1\n  $ potluck rules propose 3fa9c1 --file fewer-shares.json',
    );
}

function showCommand(): Command {
  return new Command('show')
    .description('print the rules that are in force, as JSON')
    .argument('<run>', A_RUN, runHandle)
    .option('--hub <place>', "the address of the hub, or a hub's folder", logPlace, DEFAULT_HUB)
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ potluck rules show 3fa9c1 > rules.json')
    .action(async (wanted: string, flags: RulesFlags) => {
      const { run, rules } = await withLog(flags.hub, (log) => rulesOf(log, wanted));
      openOutput(flags.json).say(JSON.stringify(rules, null, 2), { type: 'rules', run, rules });
    });
}

function proposeCommand(): Command {
  return new Command('propose')
    .description('show who would have earned what, and with --sign announce the rules in the log')
    .argument('<run>', A_RUN, runHandle)
    .requiredOption('--file <json>', 'the fields that change, e.g. {"judges": 5}')
    .option(
      '--from-round <n>',
      'the first round they are for (default: as soon as the notice allows)',
      integer(0, LAST_ROUND),
    )
    .option('--sign', 'announce them; without it nothing is sent', false)
    .addOption(runOwnerOption())
    .option('--hub <place>', 'the address of the hub', logPlace, DEFAULT_HUB)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck rules propose 3fa9c1 --file fewer-shares.json          who would have earned what
  $ potluck rules propose 3fa9c1 --file fewer-shares.json --sign   announce them

New rules never touch a round that is under way: they begin with the notice that the present rules promise.`,
    )
    .action(
      async (
        wanted: string,
        flags: RulesFlags & { file: string; fromRound?: number; sign: boolean; owner?: string },
      ) => {
        const text = await readFile(flags.file, 'utf8').catch((error: Error) => {
          throw new CliError('missing-file', `cannot read ${flags.file}: ${error.message}`);
        });
        const tested = await withLog(flags.hub, (log) => backtestRules(log, wanted, text));
        const { run, rules, proposal, earliest } = tested;
        const from_round = flags.fromRound ?? earliest;
        if (from_round < earliest) {
          throw new CliError(
            'bad-argument',
            `--from-round: the notice allows ${earliest} at the earliest, got ${from_round}`,
          );
        }
        const output = openOutput(flags.json);
        output.say(describe(tested, from_round), { type: 'backtest', from_round, ...tested });
        if (!flags.sign) return;
        const owner = await loadOrCreateIdentity(flags.owner ?? ownerKeyFile());
        const body = { type: 'rules.proposed', version: 1, run, proposal, from_round, rules } as const;
        const event = await sendEvent(flags.hub, await signEvent(owner, body));
        output.say(`Announced for round ${from_round}: event ${event}`, { type: 'proposed', run, from_round, event });
      },
    );
}

function describe({ run, name, rounds, round, earliest, accounts, weaknesses }: Backtest, from_round: number): string {
  const number = (value: number): string => formatCount(value).padStart(15);
  const row = ({ account, paid, would_be }: Backtest['accounts'][number]): string =>
    `${number(paid)}${number(would_be)}${number(would_be - paid)}  ${account.slice(0, 12)}`;
  return [
    `run ${run.slice(0, 12)}  ${nameOf(name)}: ${rounds} merged rounds paid again by the proposed rules`,
    '',
    `${'paid'.padStart(15)}${'would be'.padStart(15)}${'change'.padStart(15)}  account`,
    ...accounts.map(row),
    '',
    `They would be in force from round ${from_round} (the run is at ${round}; the notice allows ${earliest} at the earliest).`,
    'What was taken from cheaters since is not played again: these are the payments of each round as it was merged.',
    ...weaknesses.map((what) => `Warning: ${what}`),
  ].join('\n');
}

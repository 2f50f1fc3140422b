// `potluck settle`: a run's balances as a Merkle tree, which a contract elsewhere can pay out, and the statement in the log that it did.
import { writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { PayoutSettledSchema, SETTLEMENT_FORMATS, type SettlementFormat } from '../core/events/payout-settled.ts';
import type { Settlement } from '../owner/settle.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import { mustBeWritable, ownerKeyFile } from './folders.ts';
import { A_RUN, DEFAULT_HUB, integer, jsonOption, logPlace, runHandle, runOwnerOption } from './options.ts';
import { CliError, formatCount, openOutput } from './output.ts';

const LAST_SETTLEMENT = 1_000_000;

interface SettleFlags {
  run?: string;
  hub: string;
  format: SettlementFormat;
  out?: string;
  record: boolean;
  reference?: string;
  recorded?: number;
  owner?: string;
  json: boolean;
}

export function settleCommand(): Command {
  return new Command('settle')
    .option('--run <run>', `${A_RUN} (needed when several go on)`, runHandle)
    .option('--hub <place>', "the address of the hub, or a hub's folder", logPlace, DEFAULT_HUB)
    .addOption(
      new Option('--format <name>', "for Uniswap's MerkleDistributor, or for OpenZeppelin's StandardMerkleTree")
        .choices(SETTLEMENT_FORMATS)
        .default('merkle-distributor'),
    )
    .option('--out <file>', 'where to write it (default: settlement-RUN.json)')
    .option('--record', "as the run's owner, state in the log that this is paid out: nobody is paid it again", false)
    .option('--reference <text>', 'with --record: where it is paid, as free text', referenceText)
    .option('--recorded <n>', 'write settlement n of the log again, counted from 0', integer(0, LAST_SETTLEMENT))
    .addOption(runOwnerOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
What is settled: shares that are not withheld, not locked behind a validator and not settled before, of owners who have named an
address (potluck id address 0x…); the others are listed as unsettled. While a run goes on, record first and pay the root that was
recorded: balances change with every round.

Examples:
  $ potluck settle --run 3fa9c1
  $ potluck settle --run 3fa9c1 --format standard-merkle-tree --out tree.json
  $ potluck settle --run 3fa9c1 --hub http://hub.example:7700 --record --reference "distributor 0x5290…, chain 8453"
  $ potluck settle --run 3fa9c1 --recorded 0 --out mine.json      the tree of the first settlement again, to make a claim`,
    )
    .action(async (flags: SettleFlags) => {
      checkFlags(flags);
      if (flags.out !== undefined) mustBeWritable(flags.out);
      // Loaded here, so that no other command waits for it.
      const { recordedSettlement, recordSettlement, settlementOf } = await import('../owner/settle.ts');
      const { hub, run, format, reference } = flags;
      if (flags.recorded !== undefined) {
        const again = await recordedSettlement(hub, run, flags.recorded);
        await write(flags.out, again);
        say(flags, again, null);
        return;
      }
      const settlement = await settlementOf(hub, run, format);
      if (!flags.record) {
        await write(flags.out, settlement);
        say(flags, settlement, null);
        return;
      }
      const owner = await loadIdentity(flags.owner ?? ownerKeyFile());
      const keep = (computed: Settlement) => write(flags.out, computed);
      const { recorded, event } = await recordSettlement(hub, owner, settlement, reference, keep);
      say(flags, recorded, event);
    });
}

const fileOf = (out: string | undefined, run: string): string => out ?? `settlement-${run.slice(0, 12)}.json`;

const rest = ({ unsettled, sums, unearned_shares }: Settlement) => ({
  ...{ unsettled, withheld: sums.withheld, locked: sums.locked, settled_before: sums.settled, unearned_shares },
});

async function write(out: string | undefined, settlement: Settlement): Promise<void> {
  const { statement, hub, model, merged_rounds, checkpoint, file } = settlement;
  const { run, format, settlement: number, log_size } = statement;
  const head = { format, hub, run, model, merged_rounds, settlement: number, log_size, checkpoint };
  await writeFile(fileOf(out, run), `${JSON.stringify({ ...head, ...file, ...rest(settlement) }, null, 2)}\n`);
}

function say({ out, json }: SettleFlags, settlement: Settlement, event: string | null): void {
  const { run, format, settlement: number, log_size, root, total } = settlement.statement;
  const file = fileOf(out, run);
  openOutput(json).say(describe(file, settlement, event), {
    ...{ type: 'settlement', file, format, run, settlement: number, log_size, root, settled_shares: total, event },
    balances: settlement.balances.map((balance) => ({ ...balance, amount: Number(balance.amount) })),
    ...{ ...rest(settlement), warning: settlement.warning },
  });
}

function checkFlags({ record, recorded, reference, hub }: SettleFlags): void {
  if (recorded !== undefined && (record || reference !== undefined)) {
    throw new CliError(
      'bad-argument',
      '--recorded reads what is in the log; it cannot be combined with --record or --reference',
    );
  }
  if (reference !== undefined && !record) throw new CliError('bad-argument', '--reference goes with --record');
  if (record && !/^https?:/.test(hub)) {
    throw new CliError('bad-argument', '--record needs the address of a hub that runs, such as http://localhost:7700');
  }
}

function referenceText(text: string): string {
  const parsed = PayoutSettledSchema.shape.reference.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError(`${parsed.error.issues[0].message}.`);
  return text;
}

function describe(
  file: string,
  { statement, balances, unsettled, sums, warning }: Settlement,
  event: string | null,
): string {
  const { total, root, log_size } = statement;
  const open = unsettled.reduce((sum, { shares }) => sum + shares, 0);
  const kinds = [
    open > 0 && `${formatCount(open)} shares of ${unsettled.length} holders have no address yet`,
    sums.withheld > 0 && `${formatCount(sums.withheld)} are withheld`,
    sums.locked > 0 && `${formatCount(sums.locked)} are locked behind validators`,
    sums.settled > 0 && `${formatCount(sums.settled)} were settled before`,
  ].filter((kind) => kind !== false);
  return [
    `Wrote ${file}: ${formatCount(total)} shares for ${balances.length} addresses, from ${formatCount(log_size)} events.`,
    `root ${root}`,
    ...(kinds.length > 0 ? [`Not in it: ${kinds.join('; ')}.`] : []),
    ...(warning ? [`Warning: ${warning}.`] : []),
    ...(event ? [`Recorded: event ${event}. The next settlement covers what comes after it.`] : []),
  ].join('\n');
}

// `potluck settle`: the balances of a run as a Merkle tree, so that a contract elsewhere can pay them out.
import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { addressesOf } from '../core/addresses.ts';
import { shareTable } from '../core/share-table.ts';
import { chooseLoggedRun, replayLog } from '../peer/ownership-log.ts';
import type { SettlementFormat } from '../peer/settle.ts';
import { DEFAULT_HUB, jsonOption, logPlace } from './options.ts';
import { formatCount, openOutput } from './output.ts';

const FORMATS: readonly SettlementFormat[] = ['merkle-distributor', 'standard-merkle-tree'];

interface SettleFlags {
  run?: string;
  hub: string;
  format: SettlementFormat;
  out?: string;
  json: boolean;
}

export function settleCommand(): Command {
  return new Command('settle')
    .description("Write a run's balances as a Merkle tree of (index, address, amount) for a distributor contract.")
    .option('--run <id>', 'the run, by the beginning of its id (needed when the log has several)')
    .option('--hub <place>', "the address of the hub, or a hub's folder", logPlace, DEFAULT_HUB)
    .addOption(
      new Option('--format <name>', "for Uniswap's MerkleDistributor, or for OpenZeppelin's StandardMerkleTree")
        .choices(FORMATS)
        .default('merkle-distributor'),
    )
    .option('--out <file>', 'where to write it (default: settlement-RUN.json)')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Only owners who have named an address are in the tree (potluck id address 0x…); the others are listed as unsettled.

Examples:
  $ potluck settle --run 3fa9c1
  $ potluck settle --run 3fa9c1 --format standard-merkle-tree --out tree.json`,
    )
    .action(async (flags: SettleFlags) => {
      // Loaded here, so that no other command waits for it.
      const { balancesOf, settlementOf } = await import('../peer/settle.ts');
      const log = await replayLog(flags.hub);
      const run = chooseLoggedRun(log.state, flags.run);
      const { balances, unsettled } = balancesOf(shareTable(run), addressesOf(log.state));
      const settlement = {
        format: flags.format,
        hub: log.hub,
        run: run.id,
        model: run.model,
        merged_rounds: run.round,
        checkpoint: log.checkpoint,
        ...settlementOf(flags.format, balances),
        unsettled,
        unearned_shares: run.unearned_shares,
      };
      const file = flags.out ?? `settlement-${run.id.slice(0, 12)}.json`;
      await writeFile(file, `${JSON.stringify(settlement, null, 2)}\n`);
      const settled = balances.reduce((sum, { amount }) => sum + amount, 0);
      const open = unsettled.reduce((sum, { shares }) => sum + shares, 0);
      openOutput(flags.json).say(
        `Wrote ${file}: ${formatCount(settled)} shares for ${balances.length} addresses.` +
          (unsettled.length > 0
            ? `\n${formatCount(open)} shares of ${unsettled.length} holders have no address yet.`
            : ''),
        {
          ...{ type: 'settlement', file, format: flags.format, run: run.id, settled_shares: settled },
          ...{ balances, unsettled, unearned_shares: run.unearned_shares },
        },
      );
    });
}

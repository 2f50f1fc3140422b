// `potluck status`: what a hub's runs and peers are doing.
import { Command } from 'commander';
import { fetchStatus } from '../peer/find-run.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { DEFAULT_HUB, hubUrl, jsonOption } from './options.ts';
import { formatBytes, formatCount, openOutput } from './output.ts';

export function statusCommand(): Command {
  return new Command('status')
    .argument('[url]', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ potluck status\n  $ potluck status http://hub.example:7700 --json')
    .action(async (url: string, { json }: { json: boolean }) => {
      const status = await fetchStatus(url);
      const text =
        status.runs.length === 0 ? `The hub at ${url} has no runs.` : status.runs.map(describeRun).join('\n\n');
      openOutput(json).say(text, { type: 'status', ...status });
    });
}

/** A run in a few lines. */
function describeRun(run: RunStatus): string {
  const loss = run.validation_loss === null ? 'not measured yet' : run.validation_loss.toFixed(4);
  const smaller =
    run.bytes_submitted > 0 ? ` (${(run.dense_bytes / run.bytes_submitted).toFixed(0)}x less than dense)` : '';
  const lines = [
    `run ${run.run.slice(0, 12)}  ${nameOf(run.name)}`,
    `  ${run.phase}, round ${run.round} of ${run.rounds}, validation loss ${loss}`,
    `  ${formatCount(run.merged_tokens)} tokens merged, ${formatBytes(run.bytes_submitted)} sent${smaller}`,
  ];
  if (run.problem) lines.push(`  problem: ${nameOf(run.problem)}`);
  for (const peer of run.peers) {
    const doing = peer.present ? (peer.progress?.state ?? 'here') : 'away';
    const credit = peer.role === 'worker' ? `, ${formatCount(peer.credit_tokens)} tokens credited` : '';
    lines.push(`  ${peer.id.slice(0, 8)}  ${peer.role.padEnd(9)}  ${nameOf(peer.name)}  ${doing}${credit}`);
  }
  return lines.join('\n');
}

// `potluck certificate`: one JSON file that proves offline who holds which part of a model.
import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { Certificate } from '../audit/certificate.ts';
import { type MadeCertificate, makeCertificate } from '../owner/certificate-make.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { mustBeWritable, ownerKeyFile } from './folders.ts';
import { A_RUN, DEFAULT_HUB, fullId, integer, jsonOption, logPlace, runHandle } from './options.ts';
import { formatBytes, formatCount, openOutput } from './output.ts';

interface CertificateFlags {
  run?: string;
  hub: string;
  holder?: string;
  owner?: string;
  out?: string;
  evidence: number;
  json: boolean;
}

export function certificateCommand(): Command {
  return new Command('certificate')
    .option('--run <run>', `${A_RUN} (needed when several go on)`, runHandle)
    .option('--hub <place>', "the address of the hub, or a hub's folder", logPlace, DEFAULT_HUB)
    .option('--holder <id>', 'whose certificate, by full id (default: yours)', fullId)
    .option('--owner <file>', 'your key, instead of the one under ~/.potluck')
    .option('--out <file>', 'where to write it (default: certificate-RUN.json)')
    .option('--evidence <n>', 'how many submissions to prove one by one, the newest first', integer(0, 5000), 100)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck certificate --run 3fa9c1
  $ potluck certificate --hub http://hub.example:7700 --out mine.json
  $ potluck verify mine.json                    anybody can, on a machine that has nothing but the file`,
    )
    .action(async (flags: CertificateFlags) => {
      if (flags.out !== undefined) mustBeWritable(flags.out);
      const holder = flags.holder ?? (await loadOrCreateIdentity(flags.owner ?? ownerKeyFile())).id;
      const { run, evidence } = flags;
      const made = await makeCertificate(flags.hub, { run, holder, evidence });
      const { certificate, text, later_rounds, warning } = made;
      const file = flags.out ?? `certificate-${certificate.run.slice(0, 12)}.json`;
      await writeFile(file, text);
      openOutput(flags.json).say(
        [
          describeCertificate(certificate),
          ...laterRounds(made),
          `Wrote ${file} (${formatBytes(text.length)}). Check it with: potluck verify ${file}`,
          ...(warning ? [`Warning: ${warning}.`] : []),
        ].join('\n'),
        { type: 'certificate', file, ...summary(certificate), later_rounds, warning },
      );
    });
}

/** Says that the certificate ends at the model whose shares were stated last. */
function laterRounds({ certificate, later_rounds: later, checkpoint_every }: MadeCertificate): string[] {
  if (later === 0) return [];
  const rounds = later === 1 ? 'The 1 round' : `The ${later} rounds`;
  return [
    `It covers the last model whose shares the hub stated, after round ${certificate.merged_rounds}. It does not cover ${rounds} merged since then: the hub states who holds what every ${checkpoint_every} rounds and when the run ends.`,
  ];
}

/** A certificate in sentences. */
export function describeCertificate(certificate: Certificate): string {
  const { holder, shares, total_shares, unit, amount, total_amount, evidence } = certificate;
  const part = total_shares > 0 ? ` (${((shares / total_shares) * 100).toFixed(2)} %)` : '';
  const devices = holder.devices.length === 1 ? '1 device' : `${holder.devices.length} devices`;
  const revoked = holder.revoked.length > 0 ? `, ${holder.revoked.length} revoked` : '';
  return [
    `holder   ${holder.account} (${devices}${revoked})`,
    `run      ${certificate.run} (${nameOf(certificate.name)})`,
    `model    ${certificate.model}, after ${certificate.merged_rounds} merged rounds`,
    `shares   ${formatCount(shares)} of ${formatCount(total_shares)}${part}`,
    `work     ${formatCount(amount)} of ${formatCount(total_amount)} ${nameOf(unit)}, verified`,
    `evidence ${evidence.submissions} submissions with ${formatCount(evidence.amount)} ${nameOf(unit)}, ${evidence.verdicts} verdicts, each signed and in the log`,
    `hub      ${certificate.hub}`,
  ].join('\n');
}

/** A certificate without its proofs. */
export function summary({ checkpoint: _, events, row: __, decisions: ___, ...rest }: Certificate) {
  return { ...rest, events: events.length };
}

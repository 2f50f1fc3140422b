// `potluck verify FILE|DIR`: check a certificate, or an exported model's folder, with nothing else at hand.
import { readFile, stat } from 'node:fs/promises';
import { styleText } from 'node:util';
import { Command } from 'commander';
import { verifyCertificate } from '../peer/certificate.ts';
import { OwnershipError } from '../peer/ownership-errors.ts';
import { type CheckedFolder, checkFolder } from '../peer/ownership-shares.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { describeCertificate, summary } from './certificate.ts';
import { fullId, jsonOption } from './options.ts';
import { CliError, formatCount, openOutput } from './output.ts';

interface VerifyFlags {
  hubId?: string;
  holder?: string;
  signer?: string;
  json: boolean;
}

export function verifyCommand(): Command {
  return new Command('verify')
    .argument('<path>', 'a certificate, or a folder with model.sig')
    .option('--hub-id <id>', 'the hub that must have signed the log (default: the one that is named)', fullId)
    .option('--holder <id>', 'the account that a certificate must be about', fullId)
    .option('--signer <id>', "the key that a folder's manifest must be signed with", fullId)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck verify certificate-3fa9c1.json
  $ potluck verify ./my-model

It ends with 0 when everything is proven, with 1 at the first thing that is not, and says what.`,
    )
    .action(async (path: string, flags: VerifyFlags) => {
      const found = await stat(path).catch(() => null);
      if (!found) throw new CliError('missing-file', `no file or folder at ${path}`);
      const { say } = openOutput(flags.json);
      const good = styleText('green', 'VALID', { stream: process.stdout });
      if (found.isDirectory()) {
        const folder = await checkFolder(path);
        mustBe('signer', folder.signer, flags.signer);
        if (folder.shares) mustBe('hub', folder.shares.hub, flags.hubId);
        else if (flags.hubId) throw new OwnershipError('wrong-claim', 'the folder names no hub');
        const { signer, files, shares, stated } = folder;
        say(`${good}: ${describeFolder(folder, path)}`, {
          ...{ type: 'folder', valid: true, signer, files: Object.fromEntries(files), stated },
          shares: shares && { ...shares, proof: undefined },
        });
        return;
      }
      const certificate = verifyCertificate(new Uint8Array(await readFile(path)));
      mustBe('hub', certificate.hub, flags.hubId);
      mustBe('holder', certificate.holder.account, flags.holder);
      const trust = flags.hubId
        ? ''
        : '\nThe file proves what this hub has signed. Make sure that it is the hub you mean: potluck verify --hub-id ID';
      say(`${good} certificate\n${describeCertificate(certificate)}${trust}`, {
        ...{ type: 'certificate', valid: true },
        ...summary(certificate),
      });
    });
}

function mustBe(what: string, found: string, wanted: string | undefined): void {
  if (wanted !== undefined && wanted !== found) {
    throw new OwnershipError('wrong-claim', `${what}: expected ${wanted}, got ${found}`, { what });
  }
}

function describeFolder({ signer, files, shares, stated }: CheckedFolder, path: string): string {
  const lines = [`${path} has the ${files.size} files that ${signer} signed, unchanged`];
  if (!shares) return [...lines, 'nothing here tells who made the model: there is no shares.json'].join('\n');
  const total = shares.accounts.reduce((sum, row) => sum + row.shares, shares.unearned_shares);
  lines.push(
    `model    ${shares.model}, after ${shares.merged_rounds} merged rounds`,
    `run      ${shares.run} (${nameOf(shares.name)})`,
    `hub      ${shares.hub}`,
    `shares   ${formatCount(total)}, of which ${formatCount(shares.unearned_shares)} nobody has earned; ${
      stated
        ? 'stated by the hub in the log that it has signed'
        : 'the hub has not stated them: the signer alone vouches'
    }`,
  );
  const largest = [...shares.accounts].sort((a, b) => b.shares - a.shares).slice(0, 10);
  for (const row of largest) {
    const part = total > 0 ? ((row.shares / total) * 100).toFixed(2) : '0.00';
    lines.push(
      `  ${row.account}  ${part.padStart(6)} %  ${formatCount(row.shares)}, ${formatCount(row.tokens)} tokens`,
    );
  }
  if (shares.accounts.length > largest.length) lines.push(`  and ${shares.accounts.length - largest.length} more`);
  return lines.join('\n');
}

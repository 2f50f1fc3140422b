// `potluck verify FILE|DIR`: verifies a certificate, a proof of an event or of a paid answer, a receipt of a day, or an exported model's folder.
import { readFile, stat } from 'node:fs/promises';
import { styleText } from 'node:util';
import { Command } from 'commander';
import { type AnswerProof, checkAnswerProof, isAnswerProof } from '../audit/answer-proof.ts';
import { verifyCertificate } from '../audit/certificate.ts';
import { checkEntryProof, type EntryProof, isEntryProof } from '../audit/entry-proof.ts';
import { OwnershipError } from '../audit/ownership-errors.ts';
import { creditsText } from '../core/serving/credit.ts';
import { type CheckedFolder, checkFolder } from '../owner/ownership-shares.ts';
import { openDayReceipt } from '../peer/owner-policy/day-receipt.ts';
import { MAX_EVENT_BYTES } from '../protocol/envelope.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { describeCertificate, summary } from './certificate.ts';
import { dayLines, shownReceipt } from './device-receipts.ts';
import { fullId, jsonOption } from './options.ts';
import { CliError, formatCount, openOutput } from './output.ts';

interface VerifyFlags {
  hubId?: string;
  holder?: string;
  signer?: string;
  entry?: string;
  json: boolean;
}

export function verifyCommand(): Command {
  return new Command('verify')
    .argument(
      '<path>',
      "a certificate, a .tlog-proof, the proof of an answer, a device's receipt of a day, or a folder with model.sig",
    )
    .option('--hub-id <id>', 'the hub that must have signed the log (default: the one that is named)', fullId)
    .option('--holder <id>', 'the account that a certificate must be about', fullId)
    .option('--signer <id>', "the key that a folder's manifest, or a receipt of a day, must be signed with", fullId)
    .option('--entry <file>', 'the entry that a .tlog-proof is about, where the proof does not hold it')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck verify certificate-3fa9c1.json
  $ curl -s http://hub.example:7700/log/proof/3 >event-3.tlog-proof && potluck verify event-3.tlog-proof
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
      const bytes = await readAtMost(path, MAX_FILE_BYTES);
      if (isEntryProof(bytes)) {
        const entry = flags.entry === undefined ? undefined : await readAtMost(flags.entry, MAX_EVENT_BYTES);
        const proof = checkEntryProof(new TextDecoder().decode(bytes), entry);
        mustBe('hub', proof.hub, flags.hubId);
        const { hub, index, size, event, witnesses } = proof;
        say(`${good} proof\n${describeProof(proof)}${flags.hubId ? '' : TRUST}`, {
          ...{
            type: 'proof',
            valid: true,
            hub,
            index,
            size,
            event: event.id,
            author: event.author,
            body: event.body,
            witnesses,
          },
        });
        return;
      }
      if (isAnswerProof(bytes)) {
        const proof = checkAnswerProof(new TextDecoder().decode(bytes));
        mustBe('hub', proof.entry.hub, flags.hubId);
        mustBe('holder', proof.receipt.caller, flags.holder);
        say(`${good} answer\n${describeAnswer(proof)}${flags.hubId ? '' : TRUST}`, {
          ...{ type: 'answer', valid: true, ...answerFields(proof) },
        });
        return;
      }
      if (isSignedDay(bytes)) {
        const receipt = openDayReceipt(bytes);
        mustBe('signer', receipt.device, flags.signer);
        const day = shownReceipt(receipt);
        say(`${good} receipt of a day\n${dayLines(day)}`, { type: 'day_receipt', valid: true, ...day });
        return;
      }
      const certificate = verifyCertificate(bytes);
      mustBe('hub', certificate.hub, flags.hubId);
      mustBe('holder', certificate.holder.account, flags.holder);
      say(`${good} certificate\n${describeCertificate(certificate)}${flags.hubId ? '' : TRUST}`, {
        ...{ type: 'certificate', valid: true },
        ...summary(certificate),
      });
    });
}

/** Certificates are JSON, and a proof is text: what begins as a signed event is a receipt of a day. */
const isSignedDay = (bytes: Uint8Array): boolean => bytes[0] === 0x84;

/** What is proven of an answer, as fields. */
function answerFields({ receipt, index, batch, entry }: AnswerProof) {
  const { bytes: _bytes, type: _type, version: _version, gateway: _gateway, time_ms: ended_ms, ...about } = receipt;
  const { hub, witnesses } = entry;
  return {
    hub,
    batch: batch.number,
    place: index,
    receipts: batch.receipts,
    event: entry.event.id,
    ...about,
    ended_ms,
    witnesses,
  };
}

function describeAnswer(proof: AnswerProof): string {
  const { receipt, batch, entry } = proof;
  const { input_tokens, output_tokens, quantisation, earns_micro, holders_micro, gateway_micro } = receipt;
  const lines = [
    `request  ${receipt.request}, part ${receipt.part}`,
    `device   ${receipt.device} signed ${formatCount(input_tokens)} tokens read, ${formatCount(output_tokens)} written`,
    `model    ${receipt.model} (${quantisation})${receipt.run === null ? '' : ` of run ${receipt.run}`}`,
    `answer   ${receipt.answer}, the salted hash of its tokens`,
    `charged  ${creditsText(receipt.charge_micro)} to ${receipt.caller}`,
    `         ${creditsText(earns_micro)} for the device, ${creditsText(holders_micro)} for holders, ${creditsText(gateway_micro)} for the gateway`,
    `ended    in the minute of ${new Date(receipt.time_ms).toISOString()}`,
    `settled  in batch ${batch.number}, which is event ${formatCount(entry.index)} of ${formatCount(entry.size)} that the hub has signed`,
    `hub      ${entry.hub}`,
    ...entry.witnesses.map(({ name, time_s }) => `cosigned ${name} at ${new Date(time_s * 1000).toISOString()}`),
  ];
  if (entry.witnesses.length === 0) lines.push('cosigned by nobody: the hub could show others another log');
  return lines.join('\n');
}

const TRUST =
  '\nThe file proves what this hub has signed. Make sure that it is the hub you mean: potluck verify --hub-id ID';

/** Certificates are the largest files that are read completely. */
const MAX_FILE_BYTES = 64 << 20;

/** Throws CliError missing-file, bad-file; OwnershipError too-large. */
async function readAtMost(path: string, max_bytes: number): Promise<Uint8Array> {
  const found = await stat(path).catch(() => null);
  if (!found?.isFile()) throw new CliError('missing-file', `no file at ${path}`);
  if (found.size > max_bytes) {
    throw new OwnershipError('too-large', `${path}: at most ${max_bytes} bytes are read, it has ${found.size}`);
  }
  return new Uint8Array(await readFile(path));
}

function describeProof({ hub, index, size, event, witnesses }: EntryProof): string {
  const lines = [
    `event    ${event.id} (${event.body.type})`,
    `by       ${event.author}`,
    `place    ${formatCount(index)} of the ${formatCount(size)} events that the hub has signed`,
    `hub      ${hub}`,
    ...witnesses.map(({ name, time_s }) => `cosigned ${name} at ${new Date(time_s * 1000).toISOString()}`),
  ];
  if (witnesses.length === 0) lines.push('cosigned by nobody: the hub could show others another log');
  return lines.join('\n');
}

function mustBe(what: string, found: string, wanted: string | undefined): void {
  if (wanted !== undefined && wanted !== found) {
    throw new OwnershipError('wrong-claim', `${what}: expected ${wanted}, got ${found}`, { what });
  }
}

function describeFolder({ signer, files, shares, stated }: CheckedFolder, path: string): string {
  const lines = [`${path} has the ${files.size} files that ${signer} signed, unchanged`];
  if (!shares) return [...lines, 'nothing here says who made the model: there is no shares.json'].join('\n');
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
      `  ${row.account}  ${part.padStart(6)} %  ${formatCount(row.shares)}, ${formatCount(row.amount)} ${nameOf(shares.unit)}`,
    );
  }
  if (shares.accounts.length > largest.length) lines.push(`  and ${shares.accounts.length - largest.length} more`);
  return lines.join('\n');
}

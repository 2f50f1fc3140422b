// A certificate: who holds how much of which model, in one JSON file that can be verified offline (docs/decisions/0004-certificates.md).
import { z } from 'zod';
import { openCertificate } from '../core/devices.ts';
import type { RunCreated } from '../core/events/run-created.ts';
import type { SharesStated } from '../core/events/shares-stated.ts';
import type { LoggedEvent } from '../core/events.ts';
import { CORE_LIMITS } from '../core/limits.ts';
import { MembershipSchema, ProofSchema } from '../core/rounds/merged-list.ts';
import { verifyRow } from '../core/shares/share-table.ts';
import { UnitSchema } from '../protocol/measures.ts';
import { count, hash } from '../protocol/schemas.ts';
import {
  NoteSchema,
  openBareCheckpoint,
  openProof,
  openProven,
  type ProvenEvent,
  ProvenEventSchema,
} from './certificate-event.ts';
import { countEvidence } from './certificate-evidence.ts';
import { OwnershipError } from './ownership-errors.ts';
import { beginningOf } from './run-beginning.ts';

/** Enough for a certificate of ten thousand events; a larger file is not read. */
const MAX_CERTIFICATE_BYTES = 32 * 2 ** 20;

const CertificateSchema = z.strictObject({
  format: z.literal('potluck-certificate-v3'),
  hub: hash,
  run: hash,
  name: z.string().min(1).max(CORE_LIMITS.name_characters),
  /** The model whose shares these are: the SHA-256 of model.safetensors as `potluck export` writes it. */
  model: hash,
  merged_rounds: count,
  holder: z.strictObject({
    account: hash,
    /** Devices that the account has vouched for, in order. */
    devices: z.array(hash).max(1000),
    revoked: z.array(hash).max(1000),
  }),
  shares: count,
  /** All shares that the merged rounds issued, including those that nobody earned. */
  total_shares: count,
  /** What the run counts work in, and how much of it is the holder's, verified and merged. */
  unit: UnitSchema,
  amount: count,
  total_amount: count,
  /** The holder's row in the table that the hub stated. */
  row: z.strictObject({ index: count, inclusion_proof: ProofSchema }),
  /** How much of the holder's work is proven event by event, the newest first; the total follows from the statement. */
  evidence: z.strictObject({ submissions: count, amount: count, verdicts: count }),
  checkpoint: NoteSchema,
  events: z.array(ProvenEventSchema).max(30_000),
  /** For each submission among the events, in their order: whether the merge that decided it took it. */
  decisions: z.array(MembershipSchema).max(30_000),
});
export type Certificate = z.infer<typeof CertificateSchema>;

/** The canonical text of a certificate. Any other spelling is refused, so that no byte can change unnoticed. */
export function certificateText(certificate: Certificate): string {
  return `${JSON.stringify(certificate, null, 2)}\n`;
}

/**
 * Verifies a certificate with nothing but its bytes: its form, the hub's signature, the position of every event in the log, every author's
 * signature, and that each field agrees with the events. It assumes one thing only: the hub that it names cannot state false shares in its
 * public log without every auditor seeing it.
 * Throws OwnershipError `too-large`, `malformed`, `bad-signature`, `bad-proof`, `wrong-claim`.
 */
export function verifyCertificate(bytes: Uint8Array): Certificate {
  const certificate = parseCertificate(bytes);
  const head = openBareCheckpoint(certificate.checkpoint, certificate.hub);
  const events = openAll(certificate.events, (proven) => openProven(proven, head));
  const created = firstOf(events, certificate.run);
  const stated = theOnly(events, 'shares.stated', (event) => event.author === certificate.hub);
  checkStatement(certificate, stated.body as SharesStated, created);
  checkDevices(certificate, events);
  const counted = countEvidence(certificate, events, certificate.decisions);
  for (const field of ['submissions', 'amount', 'verdicts'] as const) {
    expect(`evidence.${field}`, counted[field], certificate.evidence[field]);
  }
  if (counted.amount > certificate.amount) {
    throw new OwnershipError(
      'wrong-claim',
      `amount: ${certificate.amount}, but the evidence alone has ${counted.amount}`,
    );
  }
  return certificate;
}

function parseCertificate(bytes: Uint8Array): Certificate {
  if (bytes.length > MAX_CERTIFICATE_BYTES) {
    throw new OwnershipError(
      'too-large',
      `a certificate has at most ${MAX_CERTIFICATE_BYTES} bytes, got ${bytes.length}`,
    );
  }
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    json = JSON.parse(text);
  } catch {
    throw new OwnershipError('malformed', 'certificate: expected JSON in UTF-8');
  }
  const parsed = CertificateSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new OwnershipError('malformed', `certificate: ${issue.path.join('.') || 'the whole'}: ${issue.message}`);
  }
  if (certificateText(parsed.data) !== text) {
    throw new OwnershipError('malformed', 'certificate: expected exactly the text that `potluck certificate` writes');
  }
  return parsed.data;
}

function openAll(list: readonly ProvenEvent[], open: (proven: ProvenEvent) => LoggedEvent): LoggedEvent[] {
  list.forEach(({ index }, i) => {
    if (i > 0 && index <= list[i - 1].index) {
      throw new OwnershipError('malformed', `events: expected rising indices, got ${index} after ${list[i - 1].index}`);
    }
  });
  return list.map(open);
}

function theOnly(events: readonly LoggedEvent[], type: string, fits: (event: LoggedEvent) => boolean): LoggedEvent {
  const found = events.filter((event) => event.body.type === type);
  if (found.length === 1 && fits(found[0])) return found[0];
  throw new OwnershipError('wrong-claim', `expected one ${type} of the named run and hub among the events`, {
    found: found.length,
  });
}

/** The run's first event: an entry of the log, or inside that of an arrival from another log. */
function firstOf(events: readonly LoggedEvent[], run: string): RunCreated {
  const found = events
    .filter(({ body }) => body.type === 'run.created' || body.type === 'run.arrived')
    .map(beginningOf);
  if (found.length > 0 && found.every((beginning) => beginning?.run === run)) return found[0]!.created;
  throw new OwnershipError(
    'wrong-claim',
    'expected the run.created of the named run among the events, or its run.arrived',
    {
      found: found.length,
    },
  );
}

function checkStatement(certificate: Certificate, stated: SharesStated, created: RunCreated): void {
  const { account } = certificate.holder;
  expect('run', stated.run, certificate.run);
  expect('name', created.name, certificate.name);
  expect('unit', created.unit, certificate.unit);
  expect('model', stated.model, certificate.model);
  expect('merged_rounds', stated.merged_rounds, certificate.merged_rounds);
  expect('total_shares', stated.shares + stated.unearned_shares, certificate.total_shares);
  expect('total_amount', stated.amount, certificate.total_amount);
  const { index, inclusion_proof } = certificate.row;
  const row = { account, shares: certificate.shares, amount: certificate.amount };
  if (!verifyRow(stated, row, index, openProof(inclusion_proof, 'row'))) {
    throw new OwnershipError(
      'bad-proof',
      `the table that the hub stated does not have ${row.shares} shares and ${row.amount} ${certificate.unit} for ${account} in row ${index}`,
      { account, index },
    );
  }
}

/** The devices are those that agreed to work for the holder, and the revoked ones those that the holder revoked. */
function checkDevices({ holder }: Certificate, events: readonly LoggedEvent[]): void {
  const bound = new Set<string>();
  const revoked = new Set<string>();
  for (const { author, body } of events) {
    if (body.type === 'device.bound') {
      const opened = openCertificate(body.certificate, author);
      if ('code' in opened) throw new OwnershipError('wrong-claim', `device ${author}: ${opened.message}`);
      expect(`owner of device ${author}`, opened.owner, holder.account);
      bound.add(author);
    }
    if (body.type === 'device.revoked') {
      expect(`who revoked ${body.device}`, author, holder.account);
      revoked.add(body.device);
    }
  }
  expect('holder.devices', [...bound].sort().join(' '), holder.devices.join(' '));
  expect('holder.revoked', [...revoked].sort().join(' '), holder.revoked.join(' '));
}

function expect(field: string, proven: string | number, claimed: string | number): void {
  if (proven !== claimed) {
    throw new OwnershipError(
      'wrong-claim',
      `${field}: the events prove ${proven || 'none'}, the certificate says ${claimed || 'none'}`,
      {
        field,
      },
    );
  }
}

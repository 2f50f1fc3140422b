// Makes a holder's certificate from a log: replays it, keeps what concerns the holder, and proves each kept event against the signed head.
import { type Certificate, certificateText, verifyCertificate } from '../audit/certificate.ts';
import { proveEvent } from '../audit/certificate-event.ts';
import { countEvidence } from '../audit/certificate-evidence.ts';
import { OwnershipError } from '../audit/ownership-errors.ts';
import { chooseLoggedRun, replayLog } from '../audit/ownership-log.ts';
import { readerWarning } from '../audit/reader-warning.ts';
import type { SharesStated } from '../core/events/shares-stated.ts';
import type { LoggedEvent } from '../core/events.ts';
import { acceptedIds } from '../core/rounds/judging.ts';
import { type Membership, membershipsIn } from '../core/rounds/merged-list.ts';
import { givesUpRound } from '../core/rounds/run-life.ts';
import { rowProof, type ShareRow, shareTable } from '../core/shares/share-table.ts';
import { accountOf, type NetworkState } from '../core/state.ts';
import { toBase64 } from '../ledger/signed-note.ts';
import { utf8 } from '../protocol/hash.ts';

interface KeptEvent {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly event: LoggedEvent;
}

/** A decided submission that the holder made or judged: the submission, its verdicts and its merge, and whether that took it. */
interface Decided {
  readonly events: readonly KeptEvent[];
  readonly decision: Membership;
}

/** A statement of shares, and what it was based on. */
interface Stated {
  readonly kept: KeptEvent;
  readonly table: ShareRow[];
  readonly decided: readonly Decided[];
  readonly began: KeptEvent;
  /** The merge of its model; null where the run came here with that model. */
  readonly merge: KeptEvent | null;
}

/** What a replay keeps of one run for one holder. */
class Collection {
  readonly #holder: string;
  readonly #limit: number;
  /** By run: how it began here, or came here. */
  readonly #began = new Map<string, KeptEvent>();
  readonly #devices = new Map<string, KeptEvent>();
  /** By run: the open round's submissions with their verdicts. */
  readonly #open = new Map<string, Map<string, KeptEvent[]>>();
  /** By run: what was decided since the last statement, and before it, the newest last. */
  readonly #decided = new Map<string, Decided[]>();
  readonly #merge = new Map<string, KeptEvent>();
  /** What the merge that comes next takes. */
  #accepted: readonly string[] = [];
  readonly #stated = new Map<string, Stated>();

  constructor(holder: string, limit: number) {
    this.#holder = holder;
    this.#limit = limit;
  }

  /** A merge says only how many works it takes, and their root: which ones they are follows from the state before it. */
  before({ body }: LoggedEvent, state: NetworkState): void {
    const run = body.type === 'round.merged' ? state.runs.get(body.run) : undefined;
    if (run) this.#accepted = acceptedIds(state, run);
  }

  add(kept: KeptEvent, state: NetworkState): void {
    const { id, author, body } = kept.event;
    const mine = accountOf(state, author) === this.#holder;
    switch (body.type) {
      case 'run.created':
        this.#began.set(id, kept);
        return;
      case 'run.arrived':
        this.#began.set(body.run, kept);
        this.#merge.delete(body.run);
        return;
      case 'device.bound':
        if (mine) this.#devices.set(`bound ${author}`, kept);
        return;
      case 'device.revoked':
        if (author === this.#holder) this.#devices.set(`revoked ${body.device}`, kept);
        return;
      case 'run.paused':
      case 'run.ended':
        if (givesUpRound(body)) this.#open.delete(body.run);
        return;
      case 'work.submitted':
        this.#openOf(body.run).set(id, [kept]);
        return;
      case 'verdict.given':
        this.#openOf(body.run).get(body.submission)?.push(kept);
        return;
      case 'round.merged':
        // A merge without work pays nobody and makes no model.
        if (body.bundle !== null) this.#merged(kept, body.run, state);
        this.#open.delete(body.run);
        return;
      case 'shares.stated':
        this.#stated.set(body.run, {
          kept,
          table: shareTable(state.runs.get(body.run)!),
          decided: this.#decided.get(body.run) ?? [],
          began: this.#began.get(body.run)!,
          merge: this.#merge.get(body.run) ?? null,
        });
        return;
      default:
        return;
    }
  }

  /** Everything that the certificate of a run is based on. Throws OwnershipError `not-stated`. */
  of(run: string) {
    const stated = this.#stated.get(run);
    if (!stated) {
      const came = this.#began.get(run)?.event.body;
      const before = came?.type === 'run.arrived' ? `; what was stated before is in the log at ${came.url}` : '';
      throw new OwnershipError(
        'not-stated',
        `the hub has not stated the shares of run ${run.slice(0, 12)} yet: it does so for every model that is stored whole${before}`,
      );
    }
    const { kept, began, merge } = stated;
    const needed = [began, kept, ...(merge ? [merge] : []), ...this.#devices.values()];
    const decided = stated.decided.flatMap(({ events }) => events);
    const unique = new Map([...needed, ...decided].map((kept) => [kept.index, kept]));
    const events = [...unique.values()].sort((a, b) => a.index - b.index);
    const bySubmission = [...stated.decided].sort((a, b) => a.events[0].index - b.events[0].index);
    const decisions = bySubmission.map(({ decision }) => decision);
    return { table: stated.table, statement: stated.kept.event.body as SharesStated, events, decisions };
  }

  #openOf(run: string): Map<string, KeptEvent[]> {
    const open = this.#open.get(run) ?? new Map<string, KeptEvent[]>();
    this.#open.set(run, open);
    return open;
  }

  #merged(kept: KeptEvent, run: string, state: NetworkState): void {
    const found: Decided[] = [];
    const accepted = new Set(this.#accepted);
    const membership = membershipsIn(this.#accepted);
    for (const [id, [submission, ...verdicts]] of this.#openOf(run)) {
      const isMine = (event: KeptEvent) => accountOf(state, event.event.author) === this.#holder;
      const isRight = ({ event }: KeptEvent) => 'accepted' in event.body && event.body.accepted === accepted.has(id);
      const myVerdicts = verdicts.filter((verdict) => isMine(verdict) && isRight(verdict));
      const myWork = isMine(submission) && accepted.has(id) && verdicts.length > 0;
      const shown = myWork ? verdicts : isMine(submission) ? [] : myVerdicts;
      if (shown.length > 0) found.push({ events: [submission, ...shown, kept], decision: membership(id) });
    }
    this.#merge.set(run, kept);
    // A new list each time, because a statement keeps the list of its moment.
    if (found.length > 0) {
      this.#decided.set(run, [...(this.#decided.get(run) ?? []), ...found].slice(-this.#limit));
    }
  }
}

export interface CertificateOptions {
  /** The run's id or the beginning of it; not needed where the log has one run. */
  readonly run?: string;
  /** The account: an owner's id, or that of a device without an owner. */
  readonly holder: string;
  /** How many submissions, made or judged, are proven event by event at most: the newest ones. */
  readonly evidence: number;
}

/** A certificate, with facts that it does not contain. */
export interface MadeCertificate {
  readonly certificate: Certificate;
  /** The text of its file. */
  readonly text: string;
  /** Rounds merged after the certificate's model; it does not include their pay. */
  readonly later_rounds: number;
  /** The hub states the shares after every so many rounds. */
  readonly checkpoint_every: number;
  readonly warning: string | null;
}

/**
 * The certificate of a holder, checked before it is returned, as the text of its file.
 * Throws OwnershipError `unknown-run`, `not-stated`, `not-a-holder`, `bad-log`, PublicLogError, AuditFailure.
 */
export async function makeCertificate(where: string, options: CertificateOptions): Promise<MadeCertificate> {
  const { holder } = options;
  const collection = new Collection(holder, options.evidence);
  const log = await replayLog(
    where,
    (event, index, bytes, state) => {
      if (event.body.type !== 'tick') collection.add({ index, bytes: bytes.slice(), event }, state);
    },
    (event, state) => collection.before(event, state),
  );
  const run = chooseLoggedRun(log.state, options.run);
  const { table, statement, events, decisions } = collection.of(run.id);
  const index = table.findIndex(({ account }) => account === holder);
  if (index < 0) {
    throw new OwnershipError(
      'not-a-holder',
      `${holder} holds no shares of run ${run.id.slice(0, 12)} (${table.length} accounts do)`,
    );
  }
  const bodies = events.map(({ event }) => event);
  const devicesBy = (type: 'device.bound' | 'device.revoked') =>
    bodies
      .filter(({ body }) => body.type === type)
      .map(({ author, body }) => (body.type === 'device.revoked' ? body.device : author))
      .sort();
  const { model, merged_rounds } = statement;
  const claimed = {
    hub: log.hub,
    run: run.id,
    name: run.spec.name,
    model,
    merged_rounds,
    holder: { account: holder, devices: devicesBy('device.bound'), revoked: devicesBy('device.revoked') },
  };
  const certificate: Certificate = {
    format: 'potluck-certificate-v3',
    ...claimed,
    shares: table[index].shares,
    total_shares: statement.shares + statement.unearned_shares,
    unit: run.spec.unit,
    amount: table[index].amount,
    total_amount: statement.amount,
    row: { index, inclusion_proof: rowProof(table, index).map(toBase64) },
    evidence: countEvidence(claimed, bodies, decisions),
    checkpoint: log.checkpoint,
    events: events.map(({ bytes, index: at }) => proveEvent(bytes, at, log.size, log.node)),
    decisions,
  };
  const text = certificateText(certificate);
  verifyCertificate(utf8(text)); // nobody gets a certificate that a verifier would refuse
  const warning = readerWarning(log.state, run, Date.now());
  return {
    certificate,
    text,
    later_rounds: run.round - merged_rounds,
    checkpoint_every: run.spec.checkpoint_every,
    warning,
  };
}

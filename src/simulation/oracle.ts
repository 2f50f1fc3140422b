// The invariants of a simulated network, checked after every event: from the hub's disk, its live state, and the receipts that it has given.

import { decodeEvent } from '../core/codec.ts';
import type { RoundMerged } from '../core/events/round-merged.ts';
import { blobsNamedBy, type LoggedEvent } from '../core/events.ts';
import { brokenState } from '../core/invariants.ts';
import { core } from '../core/reduce.ts';
import { acceptedIds, acceptedSubmissions } from '../core/rounds/judging.ts';
import { neededBlobs } from '../core/rounds/needed-blobs.ts';
import { givesUpRound } from '../core/rounds/run-life.ts';
import { mayHalt } from '../core/rounds/worse-models.ts';
import { emissionOf } from '../core/shares/shares.ts';
import { initialState, type NetworkState, type RunState } from '../core/state.ts';
import { encodeState, stateHash } from '../core/state-bytes.ts';
import { decodeBundle } from '../games/bundle.ts';
import type { AcceptedWork } from '../games/game.ts';
import { cutState, followState, hashOfState, mergeState } from '../games/state.ts';
import { eventId } from '../protocol/envelope.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { Auditor } from './auditor/auditor.ts';
import { difference } from './auditor/compare.ts';
import type { HubDisk } from './disks.ts';
import { SimulationError } from './errors.ts';
import type { GameSetup } from './play-setup.ts';

/** The time that a hub may need in addition to a round's own times: commits, the merge, the longest step of its clock. */
const ROUND_SLACK_MS = 4000;
/** A gap in the ticks moves a deadline by its whole length, also by the part before the hub went down. */
const TICK_MS = 5000;

/** The part by which a log's time may run slower or faster to come back to the machine's clock. */
const TIME_PART = 0.1;
/** The longest time until a tick is durable, on the slowest disk. */
const TICK_LATE_MS = 2000;

/** A merge decides about accepted work, unless the owner drops it. */
const endsRound = (body: LoggedEvent['body']): boolean => body.type === 'round.merged' || givesUpRound(body);

const violated = (what: string): never => {
  throw new SimulationError('violated', what);
};

/** What the run plays, and whether its models only get worse. */
export type Played = GameSetup & { readonly diverges: boolean };

export class Oracle {
  /** The state that follows from the durable log. */
  readonly state: NetworkState;
  /** The events of the durable log as they were first seen. */
  readonly witnessed: { readonly id: string; readonly event: LoggedEvent }[] = [];
  readonly #auditor: Auditor;
  readonly #disk: HubDisk;
  readonly #setup: Played;
  readonly #honest: ReadonlySet<string>;
  readonly #keepsSealed: (judge: string, submission: string) => boolean;
  /** The events that have receipts, by index: the log must contain them for ever. */
  readonly #promised = new Map<number, string>();
  readonly #submitted = new Set<string>();
  readonly #judged = new Set<string>();
  /** The model after each number of merged rounds, computed here from the work alone. */
  readonly #models: { readonly hash: string; readonly state: unknown; readonly rest: unknown }[] = [];
  #blobsNeeded: string[] = [];
  #stage = '';
  #alive_ms = 0;
  #allowed_ms = 0;
  #checkedLive = -1;
  /** How long the hub has run since its last tick; null if it has written none since it started. */
  #lived_ms: number | null = null;
  #time_ms = 0;

  /**
   * @param honest the devices that never lie
   * @param keepsSealed whether a judge could still reveal its verdict on a submission after a power loss now
   */
  constructor(
    hub: string,
    disk: HubDisk,
    setup: Played,
    honest: ReadonlySet<string>,
    keepsSealed: (judge: string, submission: string) => boolean,
  ) {
    this.#honest = honest;
    this.#keepsSealed = keepsSealed;
    this.state = initialState(hub);
    this.#auditor = new Auditor(hub);
    this.#disk = disk;
    this.#setup = setup;
  }

  /** A peer got a valid receipt. */
  promised(event: Uint8Array, index: number): void {
    const id = eventId(event);
    const known = this.#promised.get(index);
    if (known !== undefined && known !== id) violated(`two events were given receipts for index ${index}`);
    this.#promised.set(index, id);
    this.#checkPromise(index, id);
  }

  /** A peer uses a state with this hash as the model of a round. */
  claimed(peer: string, round: number, hash: string): void {
    const model = this.#models[round];
    if (model && model.hash !== hash)
      violated(`${peer} holds ${hash} as the model of round ${round}, not ${model.hash}`);
  }

  /** Whether the hub must still have a blob. */
  needs(hash: string): boolean {
    return this.#blobsToBeKept().includes(hash);
  }

  /** After a restart of the hub: verifies everything on its disk again. */
  async restarted(): Promise<void> {
    const { entries } = this.#disk;
    this.witnessed.forEach(({ id }, index) => {
      if (!entries[index] || eventId(entries[index]) !== id) violated(`event ${index} of the log is another one now`);
    });
    for (const [index, id] of this.#promised) this.#checkPromise(index, id);
    for (const hash of this.#blobsToBeKept()) await this.#needBlob(hash);
    const again = initialState(this.state.hub);
    for (const { event } of this.witnessed) core.apply(again, event);
    if (stateHash(again) !== stateHash(this.state)) violated('the log replayed gives another state than before');
    this.#allowed_ms += TICK_MS;
    this.#checkedLive = -1;
    this.stoodStill();
  }

  /** Follows newly durable entries, and verifies that nothing else changed. */
  async follow(): Promise<void> {
    const { entries } = this.#disk;
    if (entries.length < this.witnessed.length) {
      violated(`the log had ${this.witnessed.length} events and has ${entries.length}`);
    }
    while (this.witnessed.length < entries.length) {
      const index = this.witnessed.length;
      const event = decodeEvent(entries[index], { verify_signature: false });
      const promise = this.#promised.get(index);
      if (promise !== undefined && promise !== event.id) violated(`a receipt was given for another event ${index}`);
      await this.#before(event, index);
      const waiting = this.#workIn(event);
      const refusal = core.apply(this.state, event);
      if (waiting > this.#workIn(event) && !endsRound(event.body)) {
        violated(`event ${index} (${event.body.type}) drops ${waiting} pieces of work that were taken`);
      }
      if (refusal) violated(`event ${index} (${event.body.type}) may not follow: ${refusal.message}`);
      this.#audit(event, index);
      this.witnessed.push({ id: event.id, event });
      this.#checkState();
    }
  }

  /** Verifies the rules with the auditor, which does not use the core. */
  #audit(event: LoggedEvent, index: number): void {
    const refused = this.#auditor.refuses(event);
    if (refused) violated(`event ${index} (${event.body.type}) is taken, the auditor would refuse it: ${refused}`);
    this.#auditor.follow(event);
    const differs = difference(this.state, this.#auditor.books);
    if (differs) violated(`after event ${index} (${event.body.type}) ${differs}`);
  }

  #workIn({ body }: LoggedEvent): number {
    return 'run' in body ? (this.state.runs.get(body.run)?.submissions.size ?? 0) : 0;
  }

  /** Verifies the hub's live state after an event; the log may lack entries that are being written. */
  live(state: NetworkState): void {
    if (state.events === this.#checkedLive || state.events !== this.witnessed.length) return;
    this.#checkedLive = state.events;
    // The invariants were verified in the state that follows from the log.
    if (Buffer.compare(encodeState(state), encodeState(this.state)) !== 0) {
      violated(`after event ${state.events - 1} the hub's state is not the one that its log gives`);
    }
  }

  /** Time passed while the hub was running. */
  passed(alive_ms: number, extra_slack_ms: number): void {
    this.#checkTime(alive_ms);
    for (const run of this.state.runs.values()) {
      const stage = run.phase === 'gathering' ? '' : `${run.round}.${run.attempt}`;
      if (stage !== this.#stage) {
        this.#stage = stage;
        this.#alive_ms = 0;
        this.#allowed_ms = (run.spec.round_ms + 1.5 * run.spec.judging_ms) / (1 - TIME_PART) + ROUND_SLACK_MS;
      }
      if (!['working', 'judging', 'revealing', 'merging'].includes(run.phase)) continue;
      this.#alive_ms += alive_ms;
      if (this.#alive_ms > this.#allowed_ms + extra_slack_ms) {
        violated(`round ${run.round}.${run.attempt} is still ${run.phase} after ${Math.round(this.#alive_ms)} ms`);
      }
    }
  }

  /** The hub could write nothing for some time: as after a restart, deadlines stand still and the log's time steps ahead afterwards. */
  stoodStill(): void {
    this.#lived_ms = null;
    this.#time_ms = this.state.time_ms;
  }

  /** The log's time advances like real time, whatever clocks are set to; only a hub that starts may step ahead. */
  #checkTime(alive_ms: number): void {
    const grown_ms = this.state.time_ms - this.#time_ms;
    const lived_ms = this.#lived_ms === null ? null : this.#lived_ms + alive_ms;
    this.#lived_ms = grown_ms === 0 ? lived_ms : 0;
    this.#time_ms = this.state.time_ms;
    if (grown_ms === 0 || lived_ms === null) return;
    const [least_ms, most_ms] = [lived_ms * (1 - TIME_PART) - TICK_LATE_MS, lived_ms * (1 + TIME_PART) + TICK_LATE_MS];
    if (grown_ms < least_ms || grown_ms > most_ms) {
      violated(`the log's time grew by ${grown_ms} ms while ${Math.round(lived_ms)} ms passed`);
    }
  }

  #checkPromise(index: number, id: string): void {
    const entry = this.#disk.entries[index];
    if (!entry || eventId(entry) !== id)
      violated(`event ${id.slice(0, 8)} has a receipt for index ${index}, the log has not`);
  }

  /** All blobs that the log names; of runs that keep only recent data, those that somebody needs now. */
  #blobsToBeKept(): string[] {
    const runs = [...this.state.runs.values()];
    if (runs.every(({ spec }) => spec.keep === undefined)) return this.#blobsNeeded;
    return runs.flatMap((run) => [...neededBlobs(run).map(([, hash]) => hash), run.spec.model]);
  }

  async #needBlob(hash: string): Promise<Uint8Array> {
    const bytes = await this.#disk.blobs.get(hash);
    return bytes ?? violated(`blob ${hash.slice(0, 8)} is named by the log and not on the hub's disk`);
  }

  async #before({ id, author, body }: LoggedEvent, index: number): Promise<void> {
    if (body.type === 'round.opened') {
      const run = this.state.runs.get(body.run)!;
      const early_ms = run.idle.opens_ms - this.state.time_ms;
      if (early_ms > 0) violated(`event ${index}: a round that brought nothing is opened ${early_ms} ms early`);
      if (mayHalt(run)) violated(`event ${index}: a round is opened though its models only get worse`);
    }
    if (body.type === 'run.halted' && !this.#setup.diverges) violated(`event ${index}: a run that learns is halted`);
    if (body.type === 'run.created') {
      const { game, params, first } = this.#setup;
      this.#models[0] = { hash: await hashOfState(game, params, first), state: first, rest: null };
      if (body.model !== this.#models[0].hash) violated(`the run begins with ${body.model}`);
      await this.#keep([body.params, body.model]);
    }
    if (body.type === 'work.submitted') {
      const key = `${author} ${body.round}.${body.attempt}`;
      if (this.#submitted.has(key)) violated(`event ${index}: ${author.slice(0, 8)} hands in twice for one round`);
      this.#submitted.add(key);
      const run = this.state.runs.get(body.run);
      if (run && body.base !== run.model) violated(`event ${index}: work on model ${body.base}, not on ${run.model}`);
      await this.#keep([body.work]);
    }
    if (body.type === 'verdict.sealed' && !this.#keepsSealed(author, body.submission)) {
      violated(`event ${index}: ${author.slice(0, 8)} seals a verdict that it loses with its power`);
    }
    if (body.type === 'verdict.given') {
      // In an appeal a judge judges once more.
      const key = `${author} ${body.submission} ${body.appeal ?? false}`;
      if (this.#judged.has(key)) violated(`event ${index}: ${author.slice(0, 8)} judges one submission twice`);
      this.#judged.add(key);
      const worker = this.state.runs.get(body.run)?.submissions.get(body.submission)?.worker;
      if (body.fraud && worker && this.#honest.has(worker)) {
        violated(`event ${index}: honest work of ${worker.slice(0, 8)} is called made up (${body.code})`);
      }
    }
    if (body.type === 'round.merged') {
      await this.#keep(blobsNamedBy(body));
      await this.#checkMerge(this.state.runs.get(body.run)!, body, id);
    }
  }

  async #keep(hashes: readonly string[]): Promise<void> {
    this.#blobsNeeded = [...this.#blobsNeeded, ...hashes];
    for (const hash of hashes) await this.#needBlob(hash);
  }

  /** Verifies that a merge is the one that the log's verdicts demand, in order of id, and verifies its pay. */
  async #checkMerge(run: RunState, body: RoundMerged, id: string): Promise<void> {
    if (body.bundle === null) return;
    const works: AcceptedWork[] = [];
    const accepted = acceptedIds(this.state, run);
    if (accepted.length !== body.accepted_count)
      violated(`merge ${id} takes ${body.accepted_count} of ${accepted.length}`);
    for (const submission of accepted.sort()) {
      const { body: work } = run.submissions.get(submission)!;
      works.push({ work: await this.#needBlob(work.work), weight: work.amount });
    }
    const bundle = decodeBundle(await this.#needBlob(body.bundle));
    const same =
      bundle.length === works.length && bundle.every(({ work }, i) => Buffer.compare(work, works[i].work) === 0);
    if (!same) violated(`round ${body.round}: the bundle is not the accepted work in order of id`);
    const before = this.#models[body.round];
    const { game, params } = this.#setup;
    const cut = await cutState<unknown>(game, params, before, works);
    const state = cut
      ? await followState(game, params, before.state, cut.step)
      : await mergeState(game, params, before.state, works);
    const rest = cut?.rest ?? null;
    const made = cut ? sha256Hex(cut.step) : undefined;
    if (made !== body.step) violated(`round ${body.round}: the accepted work gives step ${made}, not ${body.step}`);
    if (body.rest) {
      const left = await hashOfState(game, params, rest, 'rest');
      if (left !== body.rest) violated(`round ${body.round}: its steps left out ${left}, not ${body.rest}`);
    }
    const hash = await hashOfState(game, params, state);
    if (hash !== body.model) violated(`round ${body.round}: the accepted work gives model ${hash}, not ${body.model}`);
    this.#models[body.round + 1] = { hash, state, rest };
    const paid = new Set<string>();
    for (const { submission } of acceptedSubmissions(this.state, run)) {
      if (paid.has(submission.worker)) violated(`round ${body.round} pays ${submission.worker.slice(0, 8)} twice`);
      paid.add(submission.worker);
    }
  }

  /** Verifies the invariants of a state, and that its shares are those that all merged rounds have issued. */
  #checkState(): void {
    const broken = brokenState(this.state);
    if (broken) violated(broken);
    for (const run of this.state.runs.values()) {
      let promised = 0;
      for (let round = 0; round < run.round; round++) promised += emissionOf(run.spec.rules.emission, round);
      if (run.emitted_shares === promised) continue;
      violated(`${run.round} rounds promised ${promised} shares, not ${run.emitted_shares}`);
    }
  }
}

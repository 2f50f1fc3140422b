// The simulated world: the real hub on virtual time, its participants, and an oracle that verifies everything.
import type { EventBody, LoggedEvent } from '../core/events.ts';
import type { RunState } from '../core/state.ts';
import { CodedError } from '../errors.ts';
import type { AnyGame } from '../games/game.ts';
import { CONNECTION_LIMITS, type ConnectionLimits } from '../hub/connection.ts';
import { type HubCore, openHubCore } from '../hub/hub-core.ts';
import { openSnapshots } from '../hub/snapshots.ts';
import { CompactTree, leafHash } from '../ledger/merkle.ts';
import { verifyReceipt } from '../ledger/receipt.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { sha256, utf8 } from '../protocol/hash.ts';
import { type DrawingIdentity, type Identity, identityFromSecret } from '../protocol/identity.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { Bug } from './bugs.ts';
import { HubDisk } from './disks.ts';
import { SimulationError } from './errors.ts';
import { type FalseReceipts, falseReceipts } from './false-receipts.ts';
import type { Doorman, Line } from './network.ts';
import { Oracle } from './oracle.ts';
import { FAULTS_WITHIN_MS, type PeerPlan, type Plan, type RunPlan, secretOf } from './plan.ts';
import type { GameSetup } from './play-setup.ts';
import { emptyTally, tally } from './tally-game.ts';
import { Process as NewProcess, type Process, RIGHT_CLOCK, VirtualTime } from './virtual-time.ts';

/** The result of one history. */
export interface Outcome {
  /** The violated property; null if there is none. */
  readonly violation: string | null;
  readonly at_ms: number;
  /** The root of the log's Merkle tree, 64 hexadecimal digits, and a hash over everything that happened. */
  readonly log_hash: string;
  readonly trace_hash: string;
  readonly log_events: number;
  readonly happenings: number;
  readonly rounds: number;
  readonly trace: readonly string[];
}

/** A device in it (simulated-peer.ts). */
export interface Inhabitant {
  readonly plan: PeerPlan;
  readonly identity: Identity;
  readonly line: Line;
  start(): void;
  /** The process ends now; `machineGone`: without closing its connections. */
  crash(machineGone: boolean): void;
  /** The owner wants the device back. */
  leave(): void;
  /** Whether its disk contains its finding about a submission, so that the finding survives a power loss. */
  keeps(submission: string): boolean;
  /** Verifies the limits of its connections. */
  look(limits: { readonly queued_bytes: number }): void;
}

/** The conditions of a history. */
export interface Staging {
  /** What its run plays; by default the tally of its plan. */
  readonly setup?: GameSetup;
  /** What a device computes with, for games that do. */
  readonly runtime?: (process: Process, peer: Inhabitant) => Runtime;
  readonly limits: ConnectionLimits;
  /** The number of events between two snapshots of the hub's state. */
  readonly snapshot_every: number;
  /** Whether the oracle verifies everything, which takes more time than the network itself. */
  readonly watched: boolean;
  /** The game of a device; by default all devices have the same. */
  readonly playedBy?: (peer: Inhabitant, game: AnyGame, process: Process) => AnyGame;
  /** Called with every event after it is durable. */
  readonly onEvent?: (event: LoggedEvent) => void;
}

/** For histories with faults: limits so small that a slow connection reaches them, and so many snapshots that most restarts use one. */
const FAULTS: Staging = {
  limits: { ...CONNECTION_LIMITS, queued_bytes: 16 << 10, waiting_messages: 16, connections: 64 },
  snapshot_every: 7,
  watched: true,
};
/** The last lines of a trace that are kept. */
const TRACE_LINES = 400;

export abstract class World {
  readonly time = new VirtualTime();
  readonly plan: Plan;
  readonly bug: Bug | null;
  readonly staging: Staging;
  readonly owner: Identity;
  readonly hubIdentity: DrawingIdentity;
  readonly setup: GameSetup;
  readonly disk: HubDisk;
  readonly oracle: Oracle;
  readonly peers: Inhabitant[] = [];
  readonly #lies: FalseReceipts;
  run = '';
  hub: (Doorman & { readonly place: HubCore }) | null = null;
  protected readonly planned: readonly { readonly plan: PeerPlan; readonly identity: Identity }[];
  protected readonly random: Random;
  protected hubProcess: Process | null = null;
  #starts = 0;
  protected failure: { readonly message: string; readonly at_ms: number } | null = null;
  readonly #trace: string[] = [];
  #traceHash: Uint8Array = new Uint8Array(32);
  protected slowDiskUntil_ms = 0;
  protected fullDiskUntil_ms = 0;
  #lastLook_ms = 0;
  #hubBack = false;
  protected readonly hubClock = { ...RIGHT_CLOCK };

  constructor(plan: Plan, bug: Bug | null, staging: Staging = FAULTS) {
    this.plan = plan;
    this.bug = bug;
    this.staging = staging;
    const { seed } = plan;
    this.random = seededRandom('simulated world', seed);
    this.owner = identityFromSecret(secretOf(seed, 'owner'));
    this.hubIdentity = identityFromSecret(secretOf(seed, 'hub'));
    this.setup = staging.setup ?? tallyOf(plan.run);
    const speed = { commit_ms: plan.commit_ms, jitter_ms: plan.commit_jitter_ms };
    this.disk = new HubDisk(seededRandom('simulated disk', seed), speed, bug?.disk ?? {});
    this.planned = plan.peers.map((peer) => ({ plan: peer, identity: identityFromSecret(secretOf(seed, peer.name)) }));
    const honest = this.planned.filter((peer) => peer.plan.lies_percent === 0).map(({ identity }) => identity.id);
    this.#lies = falseReceipts(seed, this.disk.entries);
    const keepsSealed = (judge: string, submission: string): boolean =>
      this.peers.find(({ identity }) => identity.id === judge)?.keeps(submission) ?? true;
    const played = { ...this.setup, diverges: plan.run.diverges };
    this.oracle = new Oracle(this.hubIdentity.id, this.disk, played, new Set(honest), keepsSealed);
  }

  /** Adds a participant. */
  abstract enlist(plan: PeerPlan, identity: Identity): Inhabitant;

  /** One line of the trace. */
  say(what: string): void {
    const line = `${this.time.now_ms.toFixed(1).padStart(9)}  ${what}`;
    this.#traceHash = sha256(this.#traceHash, utf8(line));
    this.#trace.push(line);
    if (this.#trace.length > TRACE_LINES) this.#trace.shift();
  }

  fail(message: string): void {
    this.failure ??= { message, at_ms: this.time.now_ms };
  }

  /** An unexpected problem: an error without a code, or one that says that the hub cannot go on. */
  problem(error: unknown, where: string): void {
    const coded = error instanceof CodedError;
    const text = coded ? `${error.code}: ${error.message}` : String(error instanceof Error ? error.stack : error);
    this.say(`problem in ${where}: ${text.split('\n')[0]}`);
    if (
      !coded ||
      error instanceof SimulationError ||
      [
        'wrong-model',
        'wrong-step',
        'no-way',
        'bad-bundle',
        'bad-step',
        'log-corrupt',
        'missing-blob',
        'bad-snapshot',
      ].includes(error.code)
    ) {
      this.fail(`${where}: ${text}`);
    }
  }

  /** A problem that a peer reports to its owner. */
  peerProblem(name: string, code: string, message: string): void {
    // If the owner keeps only recent data, a peer that was disconnected may ask for a blob that nobody needs any more.
    const gone = code === 'bad-blob' && /the hub has no blob ([0-9a-f]{64})/.exec(message)?.[1];
    if (gone && !this.oracle.needs(gone)) return;
    // A peer that got a false receipt must report it.
    const event = code === 'bad-receipt' && /event ([0-9a-f]{64})/.exec(message)?.[1];
    if (event && this.#lies.has(event)) return;
    if (['wrong-model', 'wrong-step', 'no-way', 'bad-blob', 'bad-receipt', 'bad-bundle', 'bad-step'].includes(code)) {
      this.fail(`${name}: ${code}: ${message}`);
    }
  }

  startHub(): void {
    if (this.hubProcess) return;
    const process = new NewProcess(this.time, this.hubClock);
    this.hubProcess = process;
    const incarnation = ++this.#starts;
    const random = seededRandom('hub nonces', this.plan.seed, incarnation);
    this.say(`hub starts (${this.disk.entries.length} events)`);
    const open = async (): Promise<void> => {
      const identity = this.hubIdentity;
      const store = this.plan.has_journal ? await this.disk.openReplica(process) : this.disk.openLog(process);
      const log = openTransparencyLog(store, identity);
      const onProblem = (error: Error): void => this.problem(error, 'a snapshot');
      const snapshots = {
        store,
        log,
        identity,
        rules: 1,
        every_events: this.staging.snapshot_every,
        onProblem,
      };
      const clock = this.bug?.clock?.(process.clock) ?? process.clock;
      const place = await openHubCore({
        identity,
        log,
        snapshots: (beside) => openSnapshots({ ...snapshots, beside }),
        blobs: this.disk.openBlobs(process),
        clock,
        randomBytes: (length) => Uint8Array.from({ length }, () => random.below(256)),
        limits: this.staging.limits,
        loadGame: async () => this.bug?.game?.(this.setup.game, this.disk) ?? this.setup.game,
        machine: this.bug?.machine,
        onEvent: (event, index) => {
          this.say(`${index} ${describe(event.body)} by ${this.nameOf(event.author)}`);
          this.staging.onEvent?.(event);
        },
        onError: (error, where) => this.problem(error, where),
        onCondition: ({ state }, error) => {
          if (state === 'log-failed') this.fail(`the hub gives up: ${error instanceof Error ? error.message : state}`);
        },
      });
      this.bug?.place?.(place, process.clock);
      const accept: Doorman['accept'] = (end) => {
        this.#lies.tell(end);
        place.connections.accept(end, null);
      };
      this.hub = { process, place, accept };
      place.begin();
      this.#hubBack = true;
    };
    open().catch((error) => this.problem(error, 'the start of the hub'));
  }

  nameOf(id: string): string {
    if (id === this.hubIdentity.id) return 'hub';
    if (id === this.owner.id) return 'owner';
    return this.peers.find((peer) => peer.identity.id === id)?.plan.name ?? id.slice(0, 8);
  }

  protected crashHub(machineGone: boolean): void {
    const process = this.hubProcess;
    if (!process) return;
    this.say('hub is gone');
    process.kill();
    this.disk.crash();
    for (const { line } of this.peers) line.ended(process, machineGone);
    this.hubProcess = null;
    this.hub = null;
  }

  protected async stopHub(): Promise<void> {
    const { hub } = this;
    if (!hub) return;
    this.say('hub is asked to stop');
    await hub.place.close();
    if (this.hub === hub) this.crashHub(false);
  }

  /** Sends an event over HTTP and remembers the hub's receipt for the oracle; resolves with the event's id. */
  async post(event: Uint8Array): Promise<string> {
    const { hub } = this;
    if (!hub) throw new CodedError('hub-unreachable', 'no hub is there');
    const { id, receipt } = await hub.place.services.submit(event, null);
    this.oracle.promised(event, verifyReceipt(receipt, event, this.hubIdentity.id).index);
    return id;
  }

  /** The run in the state of the log; without the oracle, in the state of the hub. */
  protected seenRun(): RunState | undefined {
    const state = this.staging.watched ? this.oracle.state : this.hub?.place.sequencer.state;
    return state?.runs.get(this.run);
  }

  protected over(): boolean {
    const run = this.seenRun();
    return run?.phase === 'finished' && this.time.now_ms > FAULTS_WITHIN_MS;
  }

  protected async look(): Promise<void> {
    if (!this.staging.watched) return;
    const passed_ms = this.time.now_ms - this.#lastLook_ms;
    this.#lastLook_ms = this.time.now_ms;
    try {
      if (this.#hubBack) {
        this.#hubBack = false;
        await this.oracle.follow();
        await this.oracle.restarted();
      }
      await this.oracle.follow();
      if (this.hub) {
        this.oracle.live(this.hub.place.sequencer.state);
        if (this.time.now_ms < this.fullDiskUntil_ms) this.oracle.stoodStill();
        else this.oracle.passed(passed_ms, this.time.now_ms < this.slowDiskUntil_ms ? 20_000 : 0);
        if (this.hub.place.connections.count() > this.staging.limits.connections)
          this.fail('the hub has too many connections');
      }
      for (const peer of this.peers) peer.look(this.staging.limits);
    } catch (error) {
      if (error instanceof SimulationError) this.fail(error.message);
      else this.problem(error, 'the oracle');
    }
  }

  protected outcome(): Outcome {
    const { entries } = this.disk;
    const tree = new CompactTree();
    for (const entry of entries) tree.append(leafHash(entry));
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    return {
      violation: this.failure?.message ?? null,
      at_ms: this.failure?.at_ms ?? this.time.now_ms,
      log_hash: hex(tree.root()),
      trace_hash: hex(this.#traceHash),
      log_events: entries.length,
      happenings: this.time.events,
      rounds: this.seenRun()?.round ?? 0,
      trace: this.#trace,
    };
  }
}

/** The tally that a plan says. */
const tallyOf = ({ steps, tokens_per_step, diverges, plain }: RunPlan): GameSetup => ({
  ...{ game: tally, params: { steps, tokens_per_step, diverges, plain }, first: emptyTally, blobs: new Map() },
});

/** An event in a few words. */
function describe(body: EventBody): string {
  const where = 'round' in body ? ` ${body.round}.${body.attempt}` : '';
  switch (body.type) {
    case 'verdict.given':
      return `${body.type} ${body.submission.slice(0, 8)} ${body.code}`;
    case 'peer.left':
      return `${body.type} ${body.peer.slice(0, 8)} (${body.reason})`;
    case 'round.merged':
      return `${body.type}${where} of ${body.accepted_count}`;
    default:
      return `${body.type}${where}`;
  }
}

// A simulated hub of several processes: the real processes, senders and devices, and what must hold all the time.
import type { LoggedEvent } from '../../core/events.ts';
import { withFirstWork } from '../../games/first-work.ts';
import { wordsOfGame } from '../../games/parts.ts';
import { keepState } from '../../games/state.ts';
import { openMemoryEngine } from '../../hub/cluster/memory-bus.ts';
import { openMemoryLeases } from '../../hub/cluster/memory-lease.ts';
import { decodeBusMessage, subjectsOf } from '../../hub/cluster/subjects.ts';
import { createMemoryBlobStore } from '../../ledger/blob-store.ts';
import { signEvent } from '../../protocol/envelope.ts';
import { sha256, sha256Hex, utf8 } from '../../protocol/hash.ts';
import { identityFromSecret } from '../../protocol/identity.ts';
import { seededRandom } from '../../protocol/random.ts';
import { secretOf } from '../plan.ts';
import { emptyTally, tally } from '../tally-game.ts';
import { Process, RIGHT_CLOCK, VirtualTime } from '../virtual-time.ts';
import type { ClusterPlan } from './cluster-plan.ts';
import { Device } from './device.ts';
import { Machine, type Site } from './machine.ts';
import { type Acknowledged, Sender } from './sender.ts';
import { SharedJournal } from './shared-journal.ts';
import { askFront, watchStranded } from './stranded.ts';
import { WatchedLog } from './watched-log.ts';

export interface ClusterOutcome {
  /** The property that did not hold; null for none. */
  readonly violation: string | null;
  readonly at_ms: number;
  readonly events: number;
  readonly happenings: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly doubled: number;
  readonly leaders: number;
  readonly fenced: number;
  /** What senders were told instead of a receipt, how often. */
  readonly told: ReadonlyMap<string, number>;
  readonly trace_hash: string;
  readonly trace: readonly string[];
}

/** A question that a living process has not answered for so long is forgotten: asking a leader and a head take less. */
const UNANSWERED_MS = 60_000;
const LOOK_MS = 1000;
/** A device that has been connected for so long, without trouble of bus and journal, is not written off. */
const SURE_MS = 12_000;
/** Trouble of the bus or of the journal is felt for so long after its end. */
const FELT_MS = 25_000;
const TRACE_LINES = 4000;

export class Cluster {
  readonly time = new VirtualTime();
  readonly plan: ClusterPlan;
  readonly site: Site;
  readonly journal: SharedJournal;
  readonly engine;
  readonly leases;
  readonly log: WatchedLog;
  readonly machines: Machine[];
  readonly senders: Sender[] = [];
  readonly devices: Device[] = [];
  /** Machines that no client reaches. */
  readonly unreachable = new Set<string>();
  /** Until when bus or journal are in trouble. */
  troubled_until_ms = 0;
  /** Called with each acknowledged event. */
  onAcknowledged: (what: Acknowledged) => void = () => {};
  failure: { readonly what: string; readonly at_ms: number } | null = null;
  readonly #trace: string[] = [];
  #traceHash: Uint8Array = new Uint8Array(32);
  readonly #leaders = new Set<string>();
  readonly #stranded = watchStranded(this);
  #run = '';

  constructor(plan: ClusterPlan) {
    this.plan = plan;
    const { seed } = plan;
    const random = (of: string) => seededRandom(`cluster ${of}`, seed);
    const weather = { delay_ms: 1, jitter_ms: plan.bus_jitter_ms, lost_permille: 0 };
    this.journal = new SharedJournal(this.time, random('journal'));
    this.engine = openMemoryEngine(random('bus'), weather);
    this.leases = openMemoryLeases(new Process(this.time, RIGHT_CLOCK).clock);
    const fail = (what: string): void => this.fail(what);
    const identity = identityFromSecret(secretOf(seed, 'hub'));
    this.site = {
      ...{
        seed,
        time: this.time,
        identity,
        journal: this.journal,
        blobs: createMemoryBlobStore(),
        engine: this.engine,
        fail,
      },
      lease: (machine, clock, drawn) => this.leases.open(machine, clock, drawn),
      askFront: (asker, url) => askFront(this, asker, url),
      say: (what) => this.say(what),
    };
    this.log = new WatchedLog(identity.id, this.journal.objects, fail, (event) => this.#happened(event));
    this.machines = plan.machines.map(({ name, roles }) => new Machine(this.site, name, roles));
    this.journal.onCreated = (name) => {
      this.say(`${name} is in the journal`);
      this.log.follow();
    };
  }

  say(what: string): void {
    const line = `${this.time.now_ms.toFixed(1).padStart(9)}  ${what}`;
    this.#traceHash = sha256(this.#traceHash, utf8(line));
    this.#trace.push(line);
    if (this.#trace.length > TRACE_LINES) this.#trace.shift();
  }

  fail(what: string): void {
    this.failure ??= { what, at_ms: this.time.now_ms };
  }

  get leader(): Machine | null {
    return this.machines.find(({ leads }) => leads) ?? null;
  }

  /** Starts machines, senders and devices, and listens as a witness does. */
  begin(): void {
    const { plan, time, site, machines, unreachable, log } = this;
    this.#listen();
    for (const [i, { starts_ms }] of plan.machines.entries()) time.after(starts_ms, () => machines[i].start());
    this.#createRun().catch((error) => this.fail(`the run: ${String(error)}`));
    for (let i = 0; i < plan.senders; i++) {
      const onAcknowledged = (what: Acknowledged): void => this.onAcknowledged(what);
      const more = { machines, unreachable, log, every_ms: plan.send_every_ms, onAcknowledged };
      time.after(2000, () => this.senders.push(new Sender({ site, name: `sender ${i}`, ...more })));
    }
  }

  /** Lets time pass until something has failed, `until` holds, or it is over. */
  async pass(until: () => boolean, most_ms: number): Promise<void> {
    const end_ms = this.time.now_ms + most_ms;
    let looked_ms = this.time.now_ms;
    while (!this.failure && !until()) {
      if (!(await this.time.step(end_ms))) return;
      if (this.time.now_ms - looked_ms < LOOK_MS) continue;
      looked_ms = this.time.now_ms;
      this.#look();
    }
  }

  /** A process of a machine has ended, and its connections with it. */
  ended(machine: Machine, losesCopy: boolean): void {
    const process = machine.up?.process;
    machine.kill(losesCopy);
    if (process) for (const device of this.devices) device.ended(process);
  }

  #look(): void {
    for (const machine of this.machines) {
      const { up } = machine;
      if (!up?.process.alive) continue;
      const { log, core } = up;
      this.log.mustBeBeginning(machine.name, log.size, log.rootAt(log.size), core.sequencer.state);
      if (machine.leads && !this.#leaders.has(`${machine.name} ${machine.starts}`)) {
        this.#leaders.add(`${machine.name} ${machine.starts}`);
        this.say(`${machine.name} leads`);
      }
    }
    const now_ms = this.time.now_ms;
    const stranded = this.#stranded(now_ms);
    if (stranded) this.fail(stranded);
    for (const sender of this.senders) {
      for (const { since_ms, at, isAlive } of sender.open) {
        if (isAlive() && now_ms - since_ms > UNANSWERED_MS && now_ms > this.troubled_until_ms + UNANSWERED_MS) {
          this.fail(`${at} has not answered a question for ${UNANSWERED_MS} ms`);
        }
      }
    }
  }

  /** What is missing so that everything is as it should be; null for nothing. @param ends whether nobody may still wait for a receipt */
  missing(ends = true): string | null {
    const { machines, senders, devices, log } = this;
    if (!this.leader) return 'no process leads';
    for (const { name, up } of machines) {
      if (!up) return `${name} is not open`;
      if (ends && up.log.size !== log.size) return `${name} has ${up.log.size} entries of ${log.size}`;
    }
    for (const sender of senders) if (ends && !sender.done) return 'a sender still waits for a receipt';
    for (const { name, off, here_since_ms, identity } of devices) {
      const present = log.state.runs.get(this.#run)?.peers.get(identity.id)?.present === true;
      if (off && present) return `${name} is switched off and still present by the log`;
      if (!off && (here_since_ms === null || !present)) return `${name} is not back`;
    }
    return null;
  }

  #happened({ author, body }: LoggedEvent): void {
    if (body.type !== 'peer.left' || author !== this.site.identity.id) return;
    const device = this.devices.find(({ identity }) => identity.id === body.peer);
    this.say(`the hub writes that ${device?.name} has left: ${body.reason}`);
    const now_ms = this.time.now_ms;
    if (!device || device.here_since_ms === null || now_ms < this.troubled_until_ms + FELT_MS) return;
    const { at } = device;
    if (now_ms - device.here_since_ms < SURE_MS || !at?.up || at.stopped || now_ms - at.since_ms < SURE_MS) return;
    this.fail(`${device.name} is written off ("${body.reason}") while it is connected to ${at.name}`);
  }

  /** Sees every head that is sent round. */
  #listen(): void {
    const { clock } = new Process(this.time, RIGHT_CLOCK);
    const bus = this.engine.open('witness', clock, (error) => this.fail(`the witness: ${String(error)}`));
    bus.subscribe(subjectsOf(this.site.identity.id).batch, (bytes) => {
      this.log.shown(decodeBusMessage('batch', bytes).note);
    });
  }

  /** An owner creates a run, which waits for workers; then its devices come. */
  async #createRun(): Promise<void> {
    if (this.plan.devices === 0) return;
    const { site, machines, unreachable } = this;
    const owner = new Process(this.time, RIGHT_CLOCK);
    const params = { steps: 3, tokens_per_step: 10 };
    const put = (bytes: Uint8Array): Promise<string> => site.blobs.put(bytes);
    const event = await signEvent(identityFromSecret(secretOf(site.seed, 'owner')), {
      ...{ type: 'run.created', version: 3, ...wordsOfGame(tally), name: 'a run', game: tally.name },
      params: await put(utf8(JSON.stringify(params))),
      model: await keepState(tally, params, emptyTally, put),
      ...{ rounds: 3, round_ms: 60_000, judging_ms: 5000, min_workers: 100, checkpoint_every: 1 },
      rules: await withFirstWork(
        {
          ...{
            judges: 2,
            withheld_rounds: 0,
            release_rounds: 2,
            probation: 1,
            reexecute_permille: 50,
            notice_rounds: 1,
          },
          validators: [],
          emission: {
            shares_per_round: 1000,
            halving_rounds: 2,
            owner_permille: 180,
            validators_permille: 410,
            workers_permille: 410,
          },
        },
        tally,
        params,
      ),
      created_ms: owner.clock.now_ms(),
    });
    this.#run = sha256Hex(event);
    while (!this.log.has(this.#run)) {
      await owner.wait(200);
      const { up } = machines[0];
      if (up) await Promise.race([up.core.services.submit(event, null).catch(() => {}), owner.wait(3000)]);
    }
    for (let i = 0; i < this.plan.devices; i++) {
      this.devices.push(new Device({ site, name: `device ${i}`, machines, unreachable, run: () => this.#run }));
    }
  }

  outcome(): ClusterOutcome {
    const told = new Map<string, number>();
    for (const sender of this.senders)
      for (const [code, times] of sender.told) told.set(code, (told.get(code) ?? 0) + times);
    return {
      violation: this.failure?.what ?? null,
      at_ms: this.failure?.at_ms ?? this.time.now_ms,
      events: this.log.size,
      lost: this.log.lost,
      doubled: this.log.doubled,
      happenings: this.time.events,
      acknowledged: this.senders.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
      leaders: this.#leaders.size,
      fenced: this.machines.reduce((sum, { fenced }) => sum + fenced, 0),
      told,
      trace_hash: Buffer.from(this.#traceHash).toString('hex'),
      trace: this.#trace,
    };
  }
}

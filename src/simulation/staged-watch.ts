// What a run in stages promises, verified from its devices and its log: who has finished something is paid for it, whoever was lost; nobody honest is
// refused for nothing or called a liar; neighbours' transcripts agree; no round is waited in without an end.
import type { LoggedEvent } from '../core/events.ts';
import type { AnyGame, Claim, Device } from '../games/game.ts';
import { nameOf } from '../games/pipeline/flights.ts';
import type { PipelineMessage } from '../games/pipeline/messages.ts';
import { amountOf, type PipelineTask, type StagePlan, stagePlans } from '../games/pipeline/params.ts';
import { decodeStageWork, type Entry } from '../games/pipeline/work.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { ChannelWatch } from './channel-watch.ts';
import type { StagedPlan } from './staged-plan.ts';
import type { StandInKind } from './stand-in-runtime.ts';
import type { Process } from './virtual-time.ts';
import type { Inhabitant, World } from './world.ts';

/** How long a worker may take to hand in when it is told to stop. */
const STOPS_MS = 5000;
/** A worker of the first stage waits for nobody longer: four times what is usual, where that is not more than one look at the others. */
const IDLE_MS = 60_000;
/** What may become of honest work if a device that could show what was handed on is not there to do so. */
const WITHOUT_BLAME = ['inputs-withheld', 'outputs-withheld', 'state-withheld', 'from-strangers', 'unknown-start'];
/** A device that has left is seen at the next look, ten times a second. */
const SEEN_MS = 1500;

/** A worker at its stage. */
interface Session {
  readonly peer: Inhabitant;
  readonly process: Process;
  readonly seed: string;
  readonly plan: StagePlan;
  readonly device: Device;
  readonly ran: Record<StandInKind, number>;
  readonly under: Map<string, Under>;
  readonly finished: Set<string>;
  active_ms: number;
}

/** A micro-batch that was handed on and is not back. */
interface Under {
  readonly since_ms: number;
  readonly tried: Set<string>;
  to: string;
  /** Since when its device has left. */
  left_ms: number | null;
}

export class StagedWatch {
  readonly channels: ChannelWatch;
  readonly #world: World;
  readonly #plan: StagedPlan;
  readonly #devices = new WeakMap<Device, Device>();
  readonly #sessions = new Map<string, Session>();
  readonly #claims = new Map<string, Claim>();
  /** By round, then by worker. */
  readonly #transcripts = new Map<string, Map<string, Entry[]>>();
  /** Who has begun which round, and has not ended it yet or was lost in it. */
  readonly #unheard = new Set<string>();

  constructor(world: World, plan: StagedPlan) {
    this.#world = world;
    this.#plan = plan;
    const fail = (message: string): void => world.fail(message);
    this.channels = new ChannelWatch({ time: world.time, fail, nameOf: (id) => world.nameOf(id) });
  }

  /** The game as a device plays it, watched. */
  game(peer: Inhabitant, game: AnyGame, process: Process): AnyGame {
    const watched = (device: Device): Device => this.#device(peer, device, process);
    return {
      ...game,
      prepare: async (params: unknown, device: Device) => game.prepare?.(params, watched(device)),
      perform: (task: PipelineTask, device: Device, signal: AbortSignal) =>
        this.#perform(peer, game, task, watched(device), signal, process),
      check: async (...[task, claim, device, judging]: Parameters<AnyGame['check']>) =>
        game.check(task, claim, watched(device), judging),
      evaluate: async (params: unknown, state: unknown, device: Device) =>
        game.evaluate(params, state, watched(device)),
    } as AnyGame;
  }

  /** A device's runtime has run a graph. */
  ran(peer: string, kind: StandInKind): void {
    const session = this.#sessions.get(peer);
    if (!session) return;
    session.ran[kind]++;
    session.active_ms = this.#world.time.now_ms;
  }

  look(): void {
    this.channels.look();
    for (const session of this.#sessions.values()) {
      if (!session.process.alive) this.#sessions.delete(session.peer.identity.id);
      else this.#lookAt(session);
    }
  }

  saw({ body, author }: LoggedEvent): void {
    if (body.type === 'work.submitted') {
      const claim = this.#claims.get(body.work);
      if (claim?.amount !== body.amount)
        this.#fail(`${this.#name(author)} hands in ${body.amount}, not what it has done`);
    }
    if (body.type === 'verdict.given' && !body.accepted) {
      const undisturbed = this.#plan.faults.length === 0;
      if (undisturbed || !WITHOUT_BLAME.includes(body.code)) this.#fail(`honest work is refused: ${body.code}`);
    }
    if (body.type === 'round.merged' && this.#plan.faults.length === 0) {
      const handed_in = this.#world.oracle.state.runs.get(body.run)!.submissions.size;
      if (body.accepted_count !== handed_in) this.#fail(`${body.accepted_count} of ${handed_in} works are merged`);
    }
  }

  /** When the history is over: what neighbours say of each other, and what the hub has kept. */
  async end(): Promise<void> {
    for (const [seed, works] of this.#transcripts) {
      for (const [peer, entries] of works) this.#agree(seed, peer, entries, works);
    }
    const { disk } = this.#world;
    const kept: Uint8Array[] = [...disk.entries];
    for await (const hash of disk.blobs.list()) kept.push((await disk.blobs.get(hash))!);
    const all = Buffer.concat(kept);
    if (this.channels.needles.some((needle) => all.includes(Buffer.from(needle))))
      this.#fail('the hub has kept what devices said');
  }

  #device(peer: Inhabitant, device: Device, process: Process): Device {
    const known = this.#devices.get(device);
    if (known) return known;
    const { id } = peer.identity;
    const channel = this.channels.channel(device.channel!, {
      ...{ id, process },
      handsOn: (to, message) => this.#handsOn(id, to, nameOf(message)),
      heard: (from, message) => this.#heard(id, from, message),
    });
    const watched = { ...device, channel };
    this.#devices.set(device, watched);
    return watched;
  }

  async #perform(
    peer: Inhabitant,
    game: AnyGame,
    task: PipelineTask,
    device: Device,
    signal: AbortSignal,
    process: Process,
  ): Promise<Claim | null> {
    const { id } = peer.identity;
    const { seed, stage } = task.round;
    const plan = stagePlans(task.params)[stage!];
    const ran = { forward: 0, backward: 0, losses: 0, step: 0 };
    const active_ms = this.#world.time.now_ms;
    this.#sessions.set(id, {
      ...{ peer, process, seed, plan, device, ran, active_ms, under: new Map(), finished: new Set() },
    });
    const unheard = `${seed} ${id}`;
    if (this.#unheard.has(unheard)) this.#unheard.add(`${unheard} twice`);
    this.#unheard.add(unheard);
    let ended = false;
    signal.addEventListener('abort', () => {
      process.after(STOPS_MS, () => {
        if (!ended) this.#fail(`${peer.plan.name} goes on with its work ${STOPS_MS} ms after it was stopped`);
      });
    });
    try {
      const claim: Claim | null = await game.perform(task, device, signal);
      this.#claimed(peer, task, plan, ran, claim);
      return claim;
    } finally {
      ended = true;
      this.#unheard.delete(unheard);
      this.#sessions.delete(id);
    }
  }

  /** What was computed is what is claimed, also where the others were lost. */
  #claimed(
    { plan: { name }, identity: { id } }: Inhabitant,
    { params, round: { seed } }: PipelineTask,
    plan: StagePlan,
    { forward, backward }: Session['ran'],
    claim: Claim | null,
  ): void {
    const due = amountOf(params, plan, {
      finished: backward,
      forward: plan.range.head ? 0 : forward - backward,
    });
    if ((claim?.amount ?? 0) !== due) this.#fail(`${name} claims ${claim?.amount ?? 0} for work of ${due}`);
    if (!claim) return;
    this.#claims.set(sha256Hex(claim.work), claim);
    const { transcript } = decodeStageWork(claim.work);
    const works = this.#transcripts.get(seed) ?? new Map<string, Entry[]>();
    this.#transcripts.set(seed, works);
    const before = works.get(id);
    // Indices of forward passes count within one transcript.
    works.set(
      id,
      before ? [...before, ...transcript.map((entry) => shifted(entry, before.length))] : transcript.slice(),
    );
    const keys = transcript.flatMap((entry) => keyOf(entry) ?? []);
    if (new Set(keys).size !== keys.length) this.#fail(`${name} counts a micro-batch twice`);
  }

  /** What one says that it got, the other says that it sent; who has handed in nothing says nothing. */
  #agree(seed: string, peer: string, entries: readonly Entry[], works: ReadonlyMap<string, Entry[]>): void {
    for (const entry of entries) {
      if (entry.kind === 'step' || entry.came === null) continue;
      const { by, hash } = entry.came;
      const theirs = works.get(by);
      // Who was lost in the round, and began it anew, has handed on more than it says.
      if (!theirs || this.#unheard.has(`${seed} ${by} twice`)) continue;
      const sent = theirs.some((other) => other.kind !== 'step' && other.went === hash);
      if (!sent)
        this.#fail(`${this.#name(peer)} has got of ${this.#name(by)} what it has not sent (${seed.slice(0, 8)})`);
    }
  }

  #handsOn(id: string, to: string, name: string): void {
    const session = this.#sessions.get(id);
    if (!session) return;
    const { device, plan, under, peer } = session;
    if (device.channel!.stages().get(to) !== plan.stage + 1) {
      this.#fail(`${peer.plan.name} hands a micro-batch on to ${this.#name(to)}, which is not at the next stage`);
    }
    if (session.finished.has(to)) this.#fail(`${peer.plan.name} hands a micro-batch on to one that has finished`);
    const known = under.get(name);
    if (known?.tried.has(to)) return;
    const now_ms = this.#world.time.now_ms;
    under.set(name, {
      ...{ since_ms: known?.since_ms ?? now_ms, tried: new Set([...(known?.tried ?? []), to]), to, left_ms: null },
    });
  }

  #heard(id: string, from: string, message: PipelineMessage): void {
    const session = this.#sessions.get(id);
    if (!session || message.seed !== session.seed) return;
    if (message.kind === 'finished') session.finished.add(from);
    if (message.kind === 'gradient') session.under.delete(nameOf(message));
  }

  #lookAt({ peer, device, plan, under, finished, active_ms }: Session): void {
    const { now_ms } = this.#world.time;
    const { name } = peer.plan;
    if (plan.range.embedding && now_ms - active_ms > IDLE_MS) this.#fail(`${name} has waited for ${IDLE_MS} ms`);
    const stages = device.channel!.stages();
    const takers = [...stages].filter(([id, stage]) => stage === plan.stage + 1 && !finished.has(id));
    for (const [micro_batch, one] of under) {
      const left = stages.get(one.to) !== plan.stage + 1;
      one.left_ms = left ? (one.left_ms ?? now_ms) : null;
      // After ten seconds it may have been given up.
      if (now_ms - one.since_ms > 9000) under.delete(micro_batch);
      else if (one.left_ms !== null && now_ms - one.left_ms > SEEN_MS && takers.some(([id]) => !one.tried.has(id))) {
        this.#fail(`${name} leaves a micro-batch with ${this.#name(one.to)}, which has left`);
      }
    }
  }

  #name(id: string): string {
    return this.#world.nameOf(id);
  }

  #fail(message: string): void {
    this.#world.fail(message);
  }
}

/** A forward pass has one way back; else entries are told apart by their micro-batch and who sent it. */
function keyOf(entry: Entry): string | null {
  if (entry.kind === 'step') return null;
  return entry.kind === 'backward' ? `back ${entry.forward}` : `${nameOf(entry.of)} ${entry.came?.by ?? ''}`;
}

const shifted = (entry: Entry, by: number): Entry =>
  entry.kind === 'backward' ? { ...entry, forward: entry.forward + by } : entry;

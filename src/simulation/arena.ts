// The arena: plays a game with the real core, real work, checks, merges and pay, one device after another and without a network,
// so that one sees before a launch who would earn what by which means. One seed, one history.
import { decodeEvent } from '../core/codec.ts';
import type { EventBody, LoggedEvent } from '../core/events.ts';
import { acceptedSubmissions } from '../core/judging.ts';
import { isCheckpoint } from '../core/merging.ts';
import { awaitsDraw, roundDrawn } from '../core/panel.ts';
import { sessionOf } from '../core/presence.ts';
import { core } from '../core/reduce.ts';
import type { Rules } from '../core/rules.ts';
import { mayStateShares, statementOf } from '../core/share-table.ts';
import { initialState, type NetworkState, type RunState } from '../core/state.ts';
import { CodedError } from '../errors.ts';
import { encodeBundle } from '../games/bundle.ts';
import { GameError, type GameErrorCode } from '../games/errors.ts';
import type { AcceptedWork, AnyGame, Claim, Round } from '../games/game.ts';
import { signEvent } from '../protocol/envelope.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { DrawingIdentity, Identity } from '../protocol/identity.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import { ArenaComings } from './arena-comings.ts';
import { ArenaJudging } from './arena-judging.ts';
import { ArenaPlanting } from './arena-planting.ts';
import { type ArenaResult, resultOf } from './arena-result.ts';
import {
  type ArenaDevice,
  type ArenaSeat,
  charged,
  countFate,
  HANDED_IN,
  identityOf,
  seatsOf,
  type Table,
} from './arena-seats.ts';
import { bounded } from './arena-verdict.ts';
import { SimulationError } from './errors.ts';

export interface ArenaOptions {
  readonly game: AnyGame;
  readonly params: unknown;
  /** The state before the first round. */
  readonly first: unknown;
  /** What the game fetches by hash. */
  readonly blobs?: ReadonlyMap<string, Uint8Array>;
  readonly devices: readonly ArenaDevice[];
  readonly rounds: number;
  readonly seed: string;
  readonly rules: Rules;
  /** In about one round of so many, and always in the last, the run's owner plants bad work; 0: never. */
  readonly plant_every: number;
  /** A device's first work ends after so many steps, as a real one's does after a second (peer/first-work.ts); all that is asked, if nothing is said. */
  readonly first_steps?: number;
  /** Told before and after each call of the game: whoever watches can end a loop that never gives way. */
  readonly watch?: (call: { readonly what: string; readonly who: string } | null) => void;
  readonly onRound?: (round: number, loss_micro: number) => void;
  /** Whether a game that throws, answers nonsense or is late ends the play with its error: where all are honest, nobody else is at fault. */
  readonly ends_when_broken?: boolean;
}

/** Long enough that nothing is late unless the arena says so. */
const ROUND_MS = 10_000;

/** What guardGame makes of a game that misbehaves. */
const BROKEN: readonly GameErrorCode[] = ['game-threw', 'game-nonsense', 'game-late'];

/**
 * Plays a run to its end. Throws what the game throws where the network itself would stand still (merge, the state's bytes,
 * evaluation) or where that ends the play, and SimulationError violated where the core refuses what its own rules ask for.
 */
export async function playArena(options: ArenaOptions): Promise<ArenaResult> {
  return new Arena(options).play();
}

export class Arena {
  readonly options: ArenaOptions;
  readonly hub: DrawingIdentity;
  readonly owner: Identity;
  readonly random: Random;
  readonly state: NetworkState;
  readonly blobs: Map<string, Uint8Array>;
  readonly seats: ArenaSeat[] = [];
  readonly claims = new Map<string, Claim>();
  readonly work_ms = new Map<string, number>();
  readonly comings: ArenaComings;
  readonly planting: ArenaPlanting;
  readonly judging: ArenaJudging;
  merged_before: Uint8Array[] = [];
  present: unknown;
  run!: RunState;

  constructor(options: ArenaOptions) {
    this.options = options;
    this.hub = identityOf(options.seed, 'hub');
    this.owner = identityOf(options.seed, 'owner');
    this.random = seededRandom('arena', options.seed);
    this.state = initialState(this.hub.id);
    this.blobs = new Map(options.blobs);
    this.present = options.first;
    this.comings = new ArenaComings(this);
    this.planting = new ArenaPlanting(this);
    this.judging = new ArenaJudging(this);
  }

  async play(): Promise<ArenaResult> {
    const { rounds, devices } = this.options;
    await this.create();
    for (const device of devices) for (const seat of this.seatsFor(device)) await this.join(seat);
    for (const { identity, device } of this.seats) if (device.record) this.trust(identity.id, device.record);
    const losses_micro = [await this.evaluate()];
    while (this.run.round < rounds && this.run.attempt < 3) {
      const { round } = this.run;
      await this.playRound();
      if (this.run.round === round) continue;
      losses_micro.push(await this.evaluate());
      this.options.onRound?.(round, losses_micro.at(-1)!);
    }
    return {
      devices: devices.map((device) => resultOf(this.run, device, this.seats)),
      losses_micro,
      honest: this.judging.honest,
      checking: this.judging.checking,
      events: this.state.events,
      model: this.run.model,
    };
  }

  /** Puts an event of somebody's into the log; the code of the refusal where the core refuses it. */
  async send(author: Identity, body: EventBody): Promise<{ readonly event: LoggedEvent; readonly refused?: string }> {
    const event = decodeEvent(await signEvent(author, body));
    const refusal = core.apply(this.state, event);
    return refusal ? { event, refused: refusal.code } : { event };
  }

  /** As `send`, for what the log's own rules ask for. */
  async must(author: Identity, body: EventBody): Promise<LoggedEvent> {
    const { event, refused } = await this.send(author, body);
    if (refused) throw new SimulationError('violated', `${body.type}: the core refuses it: ${refused}`);
    return event;
  }

  tick(time_ms: number): Promise<LoggedEvent> {
    return this.must(this.hub, { type: 'tick', version: 1, time_ms });
  }

  put(bytes: Uint8Array): string {
    const hash = sha256Hex(bytes);
    this.blobs.set(hash, bytes);
    return hash;
  }

  async create(): Promise<void> {
    const { game, params, first, rounds, devices, seed } = this.options;
    const validators = devices.flatMap(({ place, stake }) =>
      stake === undefined ? [] : [{ account: identityOf(seed, place).id, stake }],
    );
    const rules = { ...this.options.rules, validators };
    await this.tick(1);
    const { id } = await this.must(this.owner, {
      ...{ type: 'run.created', version: 1, name: 'arena', game: game.name, rounds, rules, created_ms: 0 },
      params: this.put(new TextEncoder().encode(JSON.stringify(params))),
      model: this.put(game.encodeState(params, first)),
      ...{ round_ms: ROUND_MS, judging_ms: ROUND_MS, min_workers: 1, checkpoint_every: 1000 },
    });
    this.run = this.state.runs.get(id)!;
  }

  seatsFor(device: ArenaDevice, place = device.place): ArenaSeat[] {
    const { game, params, seed, first_steps } = this.options;
    const table: Table = {
      ...{ game, params, seed, first_steps },
      fetchBlob: async (hash) => {
        const bytes = this.blobs.get(hash);
        if (bytes) return bytes;
        throw new SimulationError('violated', `no blob ${hash} in the arena`);
      },
      seen: () => [...this.run.submissions.keys()].map((id) => this.claims.get(id)!),
      shown: (judge) => this.judging.shownTo(judge),
      friends: () => this.friendsOf(device),
    };
    return seatsOf(device, table, place);
  }

  /** All keys of those that conspire with a device, its own among them. */
  friendsOf({ adversary }: ArenaDevice): ReadonlySet<string> {
    const friends = this.seats.filter(({ device }) => adversary !== null && device.adversary === adversary);
    return new Set(friends.map(({ identity }) => identity.id));
  }

  async join(seat: ArenaSeat): Promise<void> {
    const { role, name, runtime } = seat.device;
    const { session } = sessionOf(this.run, seat.identity.id);
    const { refused } = await this.send(seat.identity, {
      ...{ type: 'peer.joined', version: 1, run: this.run.id, session, role, name, runtime: runtime.class },
    });
    if (!this.seats.includes(seat)) this.seats.push(seat);
    if (refused) countFate(seat, `not let in: ${refused}`);
  }

  /** Gives a worker a record, and a bond beyond which nothing changes: more tokens than any claim has. */
  trust(id: string, record: number): void {
    const peer = this.run.peers.get(id);
    if (!peer) return;
    peer.consecutive_valid = record;
    this.run.withheld.set(id, [{ round: 0, account: id, shares: 0, tokens: Number.MAX_SAFE_INTEGER }]);
  }

  async leave({ identity }: ArenaSeat): Promise<void> {
    const { session } = sessionOf(this.run, identity.id);
    await this.must(identity, {
      ...{ type: 'peer.left', version: 1, run: this.run.id, peer: identity.id, session, reason: 'goodbye' },
    });
  }

  async playRound(): Promise<void> {
    const { run } = this;
    if (mayStateShares(run)) await this.must(this.hub, statementOf(run));
    await this.comings.begin();
    await this.planting.begin();
    await this.tick(this.state.time_ms + 1);
    await this.must(this.hub, {
      ...{ type: 'round.opened', version: 1, run: run.id, round: run.round, attempt: run.attempt },
    });
    this.claims.clear();
    for (const seat of this.inOrder()) await this.work(seat);
    // Whoever handed nothing in is late: the round ends without it, at its deadline and the grace.
    if (run.phase === 'working') await this.tick(run.deadline_ms);
    while (run.phase === 'judging' && run.draw === null) await this.draw();
    // Twice, where what was found first is disputed.
    while (run.phase === 'judging') {
      const verdicts = await this.judging.judge();
      while (run.phase === 'judging') await this.tick(this.nextDeadline());
      for (const { seat, verdict } of verdicts) {
        const { refused } = await this.send(seat.identity, verdict);
        if (refused) countFate(seat, `verdict refused: ${refused}`);
      }
      while (run.phase === 'revealing') await this.tick(this.nextDeadline());
    }
    await this.planting.look();
    this.judging.remember();
    await this.merge();
    await this.judging.end();
    await this.planting.end();
  }

  /** Closes the list of work: nobody is late any more. */
  async draw(): Promise<void> {
    if (!awaitsDraw(this.run, this.state.time_ms)) return void (await this.tick(this.nextDeadline()));
    await this.must(this.hub, roundDrawn(this.run, this.hub.prove));
    await this.tick(this.state.time_ms + 1);
  }

  nextDeadline(): number {
    const { phase, draw, grace_deadline_ms, judging_deadline_ms, reveal_deadline_ms } = this.run;
    const judging_ms = draw === null ? grace_deadline_ms : judging_deadline_ms;
    return Math.max(this.state.time_ms + 1, phase === 'judging' ? judging_ms : reveal_deadline_ms);
  }

  /** Honest devices in an order that the seed shuffles; after them whoever waits to see what others hand in. */
  inOrder(): ArenaSeat[] {
    const workers = this.seats.filter(({ device, identity }) => {
      return device.role === 'worker' && this.run.peers.get(identity.id)?.present;
    });
    const drawn = workers.map((seat) => ({
      seat,
      late: seat.device.adversary?.waits ?? false,
      at: this.random.uint32(),
    }));
    drawn.sort((a, b) => (a.late !== b.late ? (a.late ? 1 : -1) : a.at - b.at));
    return drawn.map(({ seat }) => seat);
  }

  roundNow(): Round {
    const { id, round, spec, seed, draw, recent } = this.run;
    return { run: id, number: round, rounds: spec.rounds, seed, draw, last: recent.at(-1)?.bundle ?? null };
  }

  async call<T>(seat: ArenaSeat, what: string, work: () => Promise<T>): Promise<T | null> {
    this.options.watch?.({ what, who: seat.device.name });
    try {
      // A device loads what it needs while it joins: that is no part of what work or a check takes.
      seat.prepared ??= seat.game.prepare?.(this.options.params, seat.lent) ?? Promise.resolve();
      await seat.prepared;
      return await charged(seat.cost, seat.device, work);
    } catch (error) {
      this.broke(seat, error);
      return null;
    } finally {
      this.options.watch?.(null);
    }
  }

  /** A device whose game breaks has nothing to show; the round goes on without it. */
  broke(seat: ArenaSeat, error: unknown, fate?: string): void {
    if (!(error instanceof CodedError)) throw error;
    const broken = error instanceof GameError && BROKEN.includes(error.code);
    if (broken && this.options.ends_when_broken) {
      throw new GameError(error.code, `${error.message} (${seat.device.name}, round ${this.run.round})`, error.details);
    }
    countFate(seat, broken ? error.code : (fate ?? error.code));
    seat.problem ??= error.message;
  }

  async work(seat: ArenaSeat): Promise<void> {
    const { game, params } = this.options;
    const { identity, cost } = seat;
    const before_ms = cost.cpu_ms;
    const claim = await this.call(seat, 'perform', () => {
      const task = seat.game.task(params, this.roundNow(), identity.id, this.present);
      seat.time.up = new AbortController();
      return seat.game.perform(task, seat.lent, seat.time.up.signal);
    });
    if (!claim) return;
    const size_bytes = claim.work.length;
    try {
      if (size_bytes > game.sizes(params).max_bytes) {
        throw new SimulationError(
          'bad-options',
          `work: expected at most ${game.sizes(params).max_bytes} bytes, got ${size_bytes}`,
        );
      }
      game.checkForm(params, claim.work);
    } catch (error) {
      return this.broke(seat, error, 'the hub refuses its form');
    }
    const { round, attempt, model: base, id: run } = this.run;
    const { steps, tokens, loss_micro } = claim;
    const work = this.put(claim.work);
    const pledge = (await this.planting.pledge(seat, work)) ?? sha256Hex(claim.work);
    const { event, refused } = await this.send(identity, {
      ...{ type: 'work.submitted', version: 1, run, round, attempt, base, work, size_bytes },
      ...{ steps, tokens, loss_micro: bounded(loss_micro), pledge },
    });
    if (refused) return countFate(seat, `the hub refuses it: ${refused}`);
    this.claims.set(event.id, claim);
    this.work_ms.set(event.id, cost.cpu_ms - before_ms);
    countFate(seat, HANDED_IN);
  }

  /** What the hub does when the verdicts are in. */
  async merge(): Promise<void> {
    const { game, params, watch } = this.options;
    const { run } = this;
    const accepted = acceptedSubmissions(this.state, run).map(({ submission }) => submission);
    const works: AcceptedWork[] = accepted.map(({ body }) => ({
      work: this.blobs.get(body.work)!,
      weight: body.steps,
    }));
    let { model } = run;
    let bundle: string | null = null;
    if (works.length > 0) {
      watch?.({ what: 'merge', who: 'hub' });
      this.present = game.merge(params, this.present, works);
      model = sha256Hex(game.encodeState(params, this.present));
      watch?.(null);
      bundle = this.put(encodeBundle(works));
      this.merged_before = works.map(({ work }) => work);
    }
    const { round, attempt, id } = run;
    const checkpoint = isCheckpoint(run, { bundle });
    await this.must(this.hub, {
      ...{ type: 'round.merged', version: 1, run: id, round, attempt, model, bundle, checkpoint },
      accepted: accepted.map((submission) => submission.id),
    });
  }

  async evaluate(): Promise<number> {
    const { game, params, devices, watch } = this.options;
    watch?.({ what: 'evaluate', who: 'validator' });
    const judge = this.seats.find(({ device }) => device.role === 'validator' && device.adversary === null);
    if (!judge)
      throw new SimulationError('bad-options', `expected an honest validator among ${devices.length} devices`);
    const { loss_micro } = await game.evaluate(params, this.present, judge.lent);
    watch?.(null);
    return loss_micro;
  }
}

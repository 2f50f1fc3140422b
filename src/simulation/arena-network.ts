// What the parts of an arena share: the log and the blobs, the participants, and how a device's game is called.
import { decodeEvent } from '../core/codec.ts';
import type { EventBody, LoggedEvent } from '../core/events.ts';
import { core } from '../core/reduce.ts';
import { sessionOf } from '../core/rounds/presence.ts';
import type { Rules } from '../core/rules.ts';
import { initialState, type NetworkState, type RunState } from '../core/state.ts';
import { CodedError } from '../errors.ts';
import { GameError, type GameErrorCode } from '../games/errors.ts';
import { withFirstWork } from '../games/first-work.ts';
import { type AnyGame, type Claim, type Round, stagesOf } from '../games/game.ts';
import { wordsOfGame } from '../games/parts.ts';
import { keepState, readState } from '../games/state.ts';
import { signEvent } from '../protocol/envelope.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import type { DrawingIdentity, Identity } from '../protocol/identity.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import {
  type ArenaDevice,
  charged,
  countFate,
  identityOf,
  type Participant,
  participantsOf,
  type Table,
} from './arena-participants.ts';
import { ArenaStages } from './arena-stages.ts';
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
  /** The run's owner plants bad work in one of so many rounds on average, and always in the last; 0: never. */
  readonly plant_every: number;
  /** Called before and after each call of the game, so that the caller can end a call that never returns. */
  readonly watch?: (call: { readonly what: string; readonly who: string } | null) => void;
  readonly onRound?: (round: number, measured: number) => void;
  /** Whether a game that throws, gives invalid answers or is late ends the arena with its error: if all devices are honest, only the game can be at fault. */
  readonly ends_when_broken?: boolean;
}

/** Long enough that nothing is late unless the arena says so. */
const ROUND_MS = 10_000;
/** A copy of the state is kept after so many rounds; with stages, after each. */
const CHECKPOINT_EVERY = 1000;

/** The errors of guardGame for a game that misbehaves. */
const BROKEN: readonly GameErrorCode[] = ['game-threw', 'game-nonsense', 'game-late'];

export class ArenaNetwork {
  readonly options: ArenaOptions;
  readonly hub: DrawingIdentity;
  readonly owner: Identity;
  readonly random: Random;
  readonly state: NetworkState;
  readonly blobs: Map<string, Uint8Array>;
  readonly participants: Participant[] = [];
  readonly claims = new Map<string, Claim>();
  readonly work_ms = new Map<string, number>();
  /** The verdicts of the round before, by worker. */
  readonly last_verdicts = new Map<string, ReadonlyMap<string, string>>();
  /** The id of the worker that plants work in the open round. */
  planter: string | null = null;
  merged_before: Uint8Array[] = [];
  present: unknown;
  /** What the merge steps have left out so far. */
  rest: unknown = null;
  run!: RunState;
  /** null: the game has none. */
  stages: ArenaStages | null = null;

  constructor(options: ArenaOptions) {
    this.options = options;
    this.hub = identityOf(options.seed, 'hub');
    this.owner = identityOf(options.seed, 'owner');
    this.random = seededRandom('arena', options.seed);
    this.state = initialState(this.hub.id);
    this.blobs = new Map(options.blobs);
    this.present = options.first;
  }

  /** Signs an event and appends it to the log; returns the code of the refusal if the core refuses it. */
  async send(author: Identity, body: EventBody): Promise<{ readonly event: LoggedEvent; readonly refused?: string }> {
    const event = decodeEvent(await signEvent(author, body));
    const refusal = core.apply(this.state, event);
    return refusal ? { event, refused: refusal.code } : { event };
  }

  /** Like `send`, for events that the rules demand. */
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
    const rules = { ...(await withFirstWork(this.options.rules, game, params)), validators };
    const stages = stagesOf(game, params);
    await this.tick(1);
    const { id } = await this.must(this.owner, {
      ...{
        type: 'run.created',
        version: 3,
        ...wordsOfGame(game),
        name: 'arena',
        game: game.name,
        rounds,
        rules,
        created_ms: 0,
      },
      params: this.put(utf8(JSON.stringify(params))),
      model: await keepState(game, params, first, async (bytes) => this.put(bytes)),
      ...{ round_ms: ROUND_MS, judging_ms: ROUND_MS, min_workers: Math.max(1, stages) },
      ...(stages === 0 ? { checkpoint_every: CHECKPOINT_EVERY } : { checkpoint_every: 1, stages }),
    });
    this.run = this.state.runs.get(id)!;
    if (stages > 0) this.stages = new ArenaStages(id);
  }

  async fetchBlob(hash: string): Promise<Uint8Array> {
    const bytes = this.blobs.get(hash);
    if (bytes) return bytes;
    throw new SimulationError('violated', `no blob ${hash} in the arena`);
  }

  participantsFor(device: ArenaDevice, place = device.place): Participant[] {
    const { game, params, seed } = this.options;
    const table: Table = {
      ...{ game, params, seed },
      fetchBlob: (hash) => this.fetchBlob(hash),
      air: this.stages?.air ?? null,
      seen: () => [...this.run.submissions.keys()].map((id) => this.claims.get(id)!),
      shown: (judge) => this.shownTo(judge),
      friends: () => this.friendsOf(device),
    };
    return participantsOf(device, table, place);
  }

  /** For each worker, the verdict of the first other judge in the round before. */
  shownTo(judge: string): ReadonlyMap<string, boolean> {
    return new Map(
      [...this.last_verdicts].flatMap(([worker, verdicts]) => {
        const other = [...verdicts].find(([id]) => id !== judge);
        return other ? [[worker, other[1] === 'accepted'] as const] : [];
      }),
    );
  }

  /** All keys of a device and of its accomplices. */
  friendsOf({ adversary }: ArenaDevice): ReadonlySet<string> {
    const friends = this.participants.filter(({ device }) => adversary !== null && device.adversary === adversary);
    return new Set(friends.map(({ identity }) => identity.id));
  }

  async join(participant: Participant): Promise<void> {
    const { role, name, runtime } = participant.device;
    const { session } = sessionOf(this.run, participant.identity.id);
    const { refused } = await this.send(participant.identity, {
      ...{ type: 'peer.joined', version: 1, run: this.run.id, session, role, name, runtime: runtime.class },
    });
    if (!this.participants.includes(participant)) this.participants.push(participant);
    if (refused) countFate(participant, `not let in: ${refused}`);
  }

  async leave({ identity }: Participant): Promise<void> {
    const { session } = sessionOf(this.run, identity.id);
    await this.must(identity, {
      ...{ type: 'peer.left', version: 1, run: this.run.id, peer: identity.id, session, reason: 'goodbye' },
    });
  }

  /** The round as this worker's task has it. */
  roundOf(worker: string): Round {
    const { id, round, spec, seed, draw, recent, peers } = this.run;
    const stage = peers.get(worker)?.stage ?? null;
    const now = { run: id, number: round, rounds: spec.rounds, seed, draw, last: recent.at(-1)?.bundle ?? null };
    return stage === null ? now : { ...now, stage };
  }

  /** The state as a device gets it: where nobody has to hold all of it, it is read from its blobs. */
  async stateNow(): Promise<unknown> {
    const { game, params } = this.options;
    if (!this.stages) return this.present;
    return readState(game, params, this.run.model, (hash) => this.fetchBlob(hash));
  }

  async call<T>(participant: Participant, what: string, work: () => Promise<T>): Promise<T | null> {
    this.options.watch?.({ what, who: participant.device.name });
    try {
      // A device loads what it needs while it joins, so that does not count as a cost of work or of a check.
      participant.prepared ??= participant.game.prepare?.(this.options.params, participant.lent) ?? Promise.resolve();
      await participant.prepared;
      return await charged(participant.cost, participant.device, work);
    } catch (error) {
      this.broke(participant, error);
      return null;
    } finally {
      this.options.watch?.(null);
    }
  }

  /** A device whose game fails submits nothing; the round goes on without it. */
  broke(participant: Participant, error: unknown, fate?: string): void {
    if (!(error instanceof CodedError)) throw error;
    const broken = error instanceof GameError && BROKEN.includes(error.code);
    if (broken && this.options.ends_when_broken) {
      throw new GameError(
        error.code,
        `${error.message} (${participant.device.name}, round ${this.run.round})`,
        error.details,
      );
    }
    countFate(participant, broken ? error.code : (fate ?? error.code));
    participant.problem ??= error.message;
  }
}

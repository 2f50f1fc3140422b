// What an incentive game is: one file that says what is asked, how it is done, how it is checked and what is kept of it.
import type { z } from 'zod';
import type { LlamaConfig, Weights } from '../model/config.ts';
import type { TensorSpec } from '../model/tensor-manifest.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { Clock } from '../protocol/clock.ts';
import type { Metric, Named } from '../protocol/measures.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { Drawer } from './drawer.ts';
import type { Capability } from './needs.ts';
import type { RunProgram } from './programs/program.ts';

/** The round that a task belongs to: everything a task may be derived from. */
export interface Round {
  readonly run: string;
  readonly number: number;
  readonly rounds: number;
  /** 64 hexadecimal digits that follow from the log. */
  readonly seed: string;
  /** Likewise, for those who judge its work; null before the work is in: nobody who works can know it. */
  readonly draw: string | null;
  /** The blob with the work that was merged last (bundle.ts); null before the first merge. */
  readonly last: string | null;
  /** For who works: the blob with its own work in the last merge; null: none of it is there. Missing: to be looked for in `last`. */
  readonly own?: string | null;
  /** How much its worker may claim, in the game's unit, while it has little to lose yet; for those who judge, and for all others, there is no such bound. */
  readonly most_amount?: number;
  /** In runs whose model is cut into stages: the stage that the log gives the worker of this task. */
  readonly stage?: number;
}

/** What a device lends to a game (needs.ts): something to compute with, blobs by hash, a small drawer that survives a restart, a sandbox. */
export interface Device {
  readonly runtime: Runtime;
  /** A blob's bytes, verified against its hash. Rejects when it cannot be had. */
  fetchBlob(hash: string): Promise<Uint8Array>;
  /**
   * What this device keeps for itself between rounds of this run, e.g. error feedback. A worker's is written beside its work: what
   * `perform` has put is durable when the round's work has been handed in, and gone where the process ends before.
   */
  readonly drawer: Drawer;
  /** For games that need it: runs a program that nobody trusts. */
  readonly run?: RunProgram;
  /** For games that need it: talks to the other devices of the run. */
  readonly channel?: DeviceChannel;
  /**
   * Called after each piece of work. The owner's policy may make it wait: that is how a device is throttled. Its numbers may have more names
   * than a claim's: nobody is paid by them, and only who knows the game shows them.
   */
  progress(report: Told): Promise<void>;
  /** Resolves when the owner's policy lets the device begin to work; where it is missing, that is always. */
  rested?(): Promise<void>;
  /** How long, in all, the owner's rules have kept the device from working: time in which nobody is slow. Missing: 0. */
  away_ms?(): number;
}

/** Between devices of one run: the hub passes on what it cannot read, and keeps nothing. */
export interface DeviceChannel {
  /** By which it is waited for other devices. */
  readonly clock: Clock;
  /**
   * Sends a message to a device by its id; resolves when that device has done with it. Messages to one device come in order. Rejects with
   * PeerError `peer-not-here`, `peer-busy`, `channel-broken`, `disconnected`: then nobody knows whether it came. `too-large`. With the signal's
   * reason when it fires.
   */
  send(to: string, message: Uint8Array, signal?: AbortSignal): Promise<void>;
  /**
   * Takes messages, of each sender one after the other: the next comes when the promise is settled, and so many wait at their senders. One
   * listener at a time; where none listens, messages wait. @returns stops listening
   */
  listen(listener: (from: string, message: Uint8Array) => Promise<void>): () => void;
  /** In runs whose model is cut into stages: the stages of the workers that are here now, by their ids, as the log has them; this device's too. Else empty. */
  stages(): ReadonlyMap<string, number>;
  /** There too: the workers that are here whose last work was judged and merged. Nobody knows what to expect of the others. */
  proven(): ReadonlySet<string>;
  /** There too: all stages that each worker has held in the open round, also who has left; null: this device has not seen all of the round. */
  held(): ReadonlyMap<string, ReadonlySet<number>> | null;
  /** Signs a statement about this run with the device's key, (protocol/game-statement.ts): whoever has it can show others what this device said. */
  sign(statement: Uint8Array): Promise<Uint8Array>;
}

/** The tensors of a state, read when they are needed: nobody has to hold all of it. */
export interface TensorSource {
  /** Throws ModelError `wrong-weights` for a name that the state does not have, and what fetching its parts throws. */
  read(names: readonly string[]): Promise<Weights>;
}

/** How much is done so far, in the game's unit, with numbers by the names that the game declares for work. Integers only: they go into a signed event. */
export interface Told {
  readonly amount: number;
  readonly numbers: Numbers;
}

/** Integers by name; one that ends in `_micro` is in millionths. What was not measured is missing. */
export type Numbers = Readonly<Record<string, number>>;

/** What a worker claims to have done, with the work itself. */
export interface Claim extends Told {
  readonly work: Uint8Array;
}

/** What a validator knows beside the work, when it judges. */
export interface Judging {
  /** The runtime class that the worker says it computes with. */
  readonly runtime: string;
  /**
   * How much of this work is to be repeated, where the game can, in thousandths from its beginning; 0: nothing. It is drawn when the work
   * is in (`dutyOf`). One judge who finds something is enough: what it does not accept all judges repeat.
   */
  readonly repeat_permille: number;
  /**
   * Whether this judge looks at the work, where a game can do so without repeating it and it costs something: one of the judges does. Who neither
   * looks nor repeats sees to its form, and to what tells nothing of what the work does.
   */
  readonly looks: boolean;
  /** From 0 to below 1, drawn for this judge: where a game that looks at a part of the work looks. Whoever did the work could not know it. */
  readonly place: number;
  /** How long judging may take; a check that repeats work stops early rather than come too late. */
  readonly time_ms: number;
  /** Work that was committed before this: of this round, and of the last one, in the order of the log. */
  earlier(): Promise<readonly Uint8Array[]>;
}

/**
 * What a validator found. `score_micro` in millionths; `code` names the reason in one word or a few. `weight` is how much of the
 * claimed amount the validator vouches for, 0 for refused work; `fraud` says that the work is made up, not merely poor.
 */
export interface Verdict {
  readonly accepted: boolean;
  readonly fraud: boolean;
  readonly code: string;
  readonly weight: number;
  readonly score_micro: number;
  /** What it measured, by the names that the game declares for verdicts. */
  readonly numbers: Numbers;
  /** The measurements behind it, as JSON: published with the verdict. */
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** What a state has written, and what it goes on from. */
export interface Written {
  readonly prompt: string;
  readonly text: string;
}

/** A state that writes text, as a device loads it to serve it. */
export interface TextModel {
  readonly config: LlamaConfig;
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
}

/** Work that the network keeps of a round, in canonical order, with its amount as its weight. */
export interface AcceptedWork {
  readonly work: Uint8Array;
  readonly weight: number;
}

/** What every game has, over a state (for pre-training: the model). Params come from the run owner, as JSON. */
interface AnyStateGame<Params, Task, State> {
  readonly name: string;
  /** What it asks of a device beside blobs and a store (needs.ts). */
  readonly needs?: readonly Capability[] | undefined;
  readonly params: z.ZodType<Params>;
  /** What work is counted and paid in, in the plural: what a claim's `amount` is of. */
  readonly unit: string;
  /** What `evaluate` measures of a state; by the first a run is judged. */
  readonly metrics: readonly Metric[];
  /** The numbers that come with work and with verdicts. Missing: none. */
  readonly numbers?: { readonly work?: readonly Named[]; readonly verdict?: readonly Named[] } | undefined;
  /** The state before the first round, in games whose settings say enough; in others a run's owner brings it. */
  first?(params: Params): State;
  /** The task of one peer in one round: derived, so that nobody picks their own questions. */
  task(params: Params, round: Round, peer: string, state: State): Task;
  /**
   * How much a worker without a record may claim in a round: all of its judges repeat them (first-work.ts). A run's rules begin with
   * it, and `perform` keeps to its round's `most_amount`. Missing: as many as everybody, for games whose work is checked without repeating it.
   */
  firstAmount?(params: Params): number;
  /** While a peer joins: loads what its first task or check will need. What fails here fails again there. */
  prepare?(params: Params, device: Device): Promise<void>;
  /** On a worker. When `signal` fires it returns what is done so far, or null when nothing is. */
  perform(task: Task, device: Device, signal: AbortSignal): Promise<Claim | null>;
  /** On a validator. Never throws for bad work: that is a verdict. */
  check(task: Task, claim: Claim, device: Device, judging: Judging): Promise<Verdict>;
  /** On a validator: how good the present state is, on data that nobody trains on: an integer for each metric, by its name. */
  evaluate(params: Params, state: State, device: Device): Promise<Numbers>;
  /** On a validator, in games whose states can write: a little text, for people to see how it learns. When `signal` fires it returns what it has. */
  sample?(params: Params, state: State, device: Device, signal: AbortSignal): Promise<Written | null>;
  /** In games whose states can be served to callers: the model that a state is. For games of this build. */
  textModel?(params: Params, state: State, device: Device): Promise<TextModel>;
  /** Cheap form check on the hub before a submission is taken. Throws a CodedError that says what is wrong. */
  checkForm(params: Params, work: Uint8Array): void;
  /**
   * Whether work goes on from what its worker's merged work of the round before leaves, so that it can only be repeated after that.
   * Where it is missing, every piece of work stands for itself. Throws a CodedError for bytes that checkForm refuses.
   */
  goesOn?(work: Uint8Array): boolean;
  /**
   * The most bytes one submission may have, and what it would have had as dense float32. `memory_bytes`: what the work takes of a
   * device's memory at the least; one that has less free is not tried.
   */
  sizes(params: Params): {
    readonly max_bytes: number;
    readonly dense_bytes: number;
    readonly memory_bytes?: number | undefined;
  };
}

/** A round's work as everybody downloads it. */
export interface Cut<State> {
  /** Leads from the state before to the next one. */
  readonly step: Uint8Array;
  /** What it leaves out, in the form of a state: the next cut begins with it. */
  readonly rest: State;
}

/** The state of a game that fits into one blob. */
interface WholeState<Params, State> {
  /** What the network keeps of a round. Throws for work that cannot be merged (a validator would have refused it). */
  merge(params: Params, state: State, accepted: readonly AcceptedWork[]): State;
  /**
   * Where a round's work is too much for everybody to download: what everybody downloads instead, with which `follow` finds the next state in
   * place of `merge`. Throws what `merge` throws. `rest`: what the steps before have left out, null at first. null: these settings want no
   * steps. For games of this build: a game from a file is merged by everybody.
   */
  cut?(params: Params, rest: State | null, accepted: readonly AcceptedWork[]): Cut<State> | null;
  /** The state after a step; belongs to `cut`. Throws a CodedError for bytes that `cut` cannot have made. */
  follow?(params: Params, state: State, step: Uint8Array): State;
  /** The state as canonical bytes, whose SHA-256 is the state's hash in the log, and back. */
  encodeState(params: Params, state: State): Uint8Array;
  decodeState(params: Params, bytes: Uint8Array): State;
}

/** A state that is a model: it is kept as a manifest of tensors (model/tensor-manifest.ts), and merged tensor by tensor. */
interface TensorState<Params> {
  /** The tensors of every state, in the order in which they are merged. */
  tensors(params: Params): readonly TensorSpec[];
  /** Reads a round's work, once. Throws for work that cannot be merged, as `merge` of other games does. */
  openMerge(params: Params, accepted: readonly AcceptedWork[]): MergeTensor;
  /** As `cut` and `follow` of other games. */
  openCut?(params: Params, accepted: readonly AcceptedWork[]): CutTensors | null;
  openFollow?(params: Params, step: Uint8Array): MergeTensor;
}

/** A step that is cut tensor by tensor, in order. */
export interface CutTensors {
  /**
   * What is left out of a tensor now, in new memory; `rest`: what was left out before, undefined: nothing. `before`: the tensor before the
   * step, undefined where every tensor is float32: nothing is rounded then.
   */
  tensor(spec: TensorSpec, rest: Float32Array | undefined, before: Float32Array | undefined): Float32Array;
  /** When every tensor is cut. */
  step(): Uint8Array;
}

/** What becomes of a tensor, in new memory; called once for each, in order. */
export type MergeTensor = (spec: TensorSpec, before: Float32Array) => Float32Array;

/** A game. Everything but `prepare`, `perform`, `check`, `evaluate` and `sample` is pure. */
export type Game<Params, Task, State> = AnyStateGame<Params, Task, State> & WholeState<Params, State>;
/** A game that trains a model. */
export type TensorGame<Params, Task> = AnyStateGame<Params, Task, Weights> & TensorState<Params>;

interface InStages<Params> {
  /** How many stages the model is cut into: the run's event says so, and the log gives each worker one. */
  stages(params: Params): number;
}

/**
 * A game that trains a model in stages: no device has to hold all of it. Its states are read tensor by tensor; every merged state is stored whole
 * (`checkpoint_every` is 1), because who holds a part of a state cannot merge the whole.
 */
export type StagedGame<Params, Task> = AnyStateGame<Params, Task, TensorSource> &
  TensorState<Params> &
  InStages<Params>;

// biome-ignore lint/suspicious/noExplicitAny: the registry holds games of every type; each one checks its own params
type Any = any;
type TensorsOf = AnyStateGame<Any, Any, Any> & TensorState<Any> & Partial<InStages<Any>>;

/** The same game in a thread of its own (host/): its pure parts take a while, too. */
type Hosted<G> = {
  readonly [Part in keyof G]: NonNullable<G[Part]> extends (...given: infer Given) => infer Answer
    ? ((...given: Given) => Answer | Promise<Awaited<Answer>>) | Extract<G[Part], undefined>
    : G[Part];
};

/** Settings are read where the game is. */
type Readable<G> = Omit<G, 'params'> & { readonly params: Pick<z.ZodType, 'safeParseAsync'> };

/** A game as its users call it, here or hosted elsewhere. Its types are nobody's business outside its own file. */
export type AnyGame = Readable<Hosted<Game<Any, Any, Any>>> | Readable<TensorsOf>;

/** The number of a run's stages; 0: its model is not cut. */
export const stagesOf = (game: AnyGame, params: unknown): number =>
  (hasTensors(game) ? game.stages?.(params) : undefined) ?? 0;

/** Whether a game's states are read tensor by tensor (StagedGame). */
export const isStaged = (game: AnyGame): game is Readable<TensorsOf> => hasTensors(game) && game.stages !== undefined;

export const hasTensors = (game: AnyGame): game is Readable<TensorsOf> => 'tensors' in game;

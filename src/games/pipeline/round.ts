// A worker's round at its stage: micro-batches come from the stage before and go on to the next, gradients come back the same way, and after so
// many of them the worker steps. Nobody is waited for: what a device does not answer goes to another one of its stage.

import { ModelError } from '../../model/errors.ts';
import { checkReceived } from '../../model/pipeline/boundary.ts';
import { layoutsOf } from '../../model/pipeline/graphs.ts';
import type { Stage } from '../../model/pipeline/stage.ts';
import { fired } from '../../protocol/clock.ts';
import { isSigned } from '../../protocol/game-statement.ts';
import { GameError } from '../errors.ts';
import type { Device, DeviceChannel, Told } from '../game.ts';
import type { KeptPieces } from '../pretrain/carried.ts';
import { learningRateAt } from '../pretrain/params.ts';
import { toldMicro } from '../pretrain/work.ts';
import { type AtWork, deskOf } from './desk.ts';
import { Flights, nameOf } from './flights.ts';
import { Kept } from './kept.ts';
import {
  decodeForward,
  encodeForward,
  encodeMessage,
  type HandedOn,
  handedStatement,
  hashOfPayload,
  type PayloadShape,
  type Windows,
} from './messages.ts';
import { mostMade, type PipelineParams, type PipelineTask, type StagePlan, stageOptions } from './params.ts';
import { payloadForm, squeezed, unsqueezed } from './squeeze.ts';
import { Tally } from './tally.ts';
import type { RoundText } from './text.ts';
import { trafficNumbers } from './traffic.ts';
import type { Entry, Handed, MicroBatch } from './work.ts';

/** How often a worker looks for who has left or does not answer. */
const LOOK_MS = 100;
/** How many micro-batches a maker without a record begins in a round, where others have one: so many are enough to get one. */
const NEWCOMER_MAKES = 1;

/** What came in and waits; settled when it is done. */
interface Job {
  readonly from: string;
  readonly message: HandedOn;
  readonly hash: string;
  readonly settle: () => void;
}

/** What a round has come to. */
export interface RoundDone extends Told {
  readonly transcript: readonly Entry[];
}

export interface RoundOptions {
  readonly task: PipelineTask;
  readonly plan: StagePlan;
  readonly stage: Stage;
  readonly device: Pick<Device, 'channel' | 'progress'>;
  /** The state that it begins with, for judges. */
  readonly began: KeptPieces;
  readonly text: RoundText;
  readonly signal: AbortSignal;
}

/** Works until every worker of the first stage has finished, or the signal fires. Throws GameError `diverged`. */
export async function workRound(options: RoundOptions): Promise<RoundDone> {
  return new StageRound(options).run();
}

class StageRound implements AtWork {
  readonly #options: RoundOptions;
  readonly #params: PipelineParams;
  readonly #seed: string;
  readonly #channel: DeviceChannel;
  readonly #shape: PayloadShape;
  readonly #layouts: ReturnType<typeof layoutsOf>;
  readonly #transcript: Entry[] = [];
  readonly #tally: Tally;
  readonly #kept: Kept;
  /** Gradients go before micro-batches: they free who waits. */
  readonly #gradients: Job[] = [];
  readonly #forward: Job[] = [];
  /** What was taken from whom: nobody has a micro-batch done twice here. */
  readonly #seen = new Set<string>();
  readonly #finished = new Set<string>();
  /** Fires when this worker has done with the round: nothing is sent after it. */
  readonly #over = new AbortController();
  readonly #flights: Flights;
  /** Those that begin micro-batches and have not finished; how many are each one's part, and how many this worker makes if it is one. */
  readonly #makers: Set<string>;
  readonly #part: number;
  #most: number;
  #made = 0;
  /** How many were taken of devices without a record, and how many are at the most. */
  #of_newcomers = 0;
  readonly #most_of_newcomers: number;
  #woken = false;
  #wake = (): void => {};

  constructor(options: RoundOptions) {
    const { task, plan, device, began } = options;
    this.#options = options;
    this.#kept = new Kept(began);
    this.#params = task.params;
    this.#tally = new Tally(task.params, plan);
    this.#seed = task.round.seed;
    this.#channel = device.channel!; // the game names it among its needs
    this.#shape = { ...task.params, vocab_size: task.params.model.vocab_size };
    this.#layouts = layoutsOf(task.params.model, stageOptions(task.params, plan));
    this.#makers = new Set(this.#inStage(0));
    this.#part = this.#params.inner_steps * this.#params.micro_batches;
    this.#most = this.#isNewcomer(task.peer) ? NEWCOMER_MAKES : this.#part;
    // Each worker hands one to newcomers of the next stage, who hand it on.
    const from =
      plan.stage === 1 ? [...this.#makers].filter((maker) => this.#isNewcomer(maker)) : this.#inStage(plan.stage - 2);
    this.#most_of_newcomers = Math.max(1, from.length);
    this.#flights = new Flights({
      ...{ channel: this.#channel, next: plan.stage + 1, finished: this.#finished, over: this.#over.signal },
    });
  }

  async run(): Promise<RoundDone> {
    const { signal, device, stage } = this.#options;
    const desk = deskOf(device);
    const look = (): void => {
      this.#flights.look();
      this.#lookForMakers();
      this.#awake();
    };
    signal.addEventListener('abort', look, { once: true });
    const { clock } = this.#channel;
    const lookAgain = (): void => {
      look();
      looking = clock.setTimeout(lookAgain, LOOK_MS);
    };
    let looking = clock.setTimeout(lookAgain, LOOK_MS);
    desk.begin(this.#seed, this);
    desk.tell(this.#others(), { kind: 'here', seed: this.#seed });
    try {
      while (!signal.aborted && !this.#isDone()) {
        this.#woken = false;
        if (!(await this.#doNext())) await this.#untilWoken();
      }
      if (stage.pending > 0) await this.#step();
    } finally {
      clock.clearTimeout(looking);
      signal.removeEventListener('abort', look);
      this.#over.abort();
      const moved = this.isMoved();
      desk.end(this.#seed, this.#kept, moved);
      const asked = Math.max(this.#part, this.#most);
      const unmade = this.#options.plan.range.embedding ? Math.max(0, asked - this.#made) : 0;
      if (!moved) desk.tell(this.#others(), { kind: 'finished', seed: this.#seed, unmade });
      for (const { settle } of [...this.#gradients, ...this.#forward]) settle();
    }
    return { transcript: this.#transcript, ...this.#tally.told() };
  }

  async handed(from: string, message: HandedOn): Promise<void> {
    // Its sender sees that it is not taken, and asks another one.
    if (message.kind === 'activations' && this.#isTooMany(from)) return fired(this.#over.signal);
    const accepted = await this.#accepted(from, message);
    if (!accepted || this.#over.signal.aborted) return;
    await new Promise<void>((settle) => {
      const queue = message.kind === 'gradient' ? this.#gradients : this.#forward;
      queue.push({ ...accepted, settle });
      this.#awake();
    });
  }

  /** Whether a device has no record, while others of its stage have one. */
  #isNewcomer(device: string): boolean {
    const proven = this.#channel.proven();
    const stages = this.#channel.stages();
    return !proven.has(device) && [...proven].some((other) => stages.get(other) === stages.get(device));
  }

  /** More of newcomers than honest ones can have: what a liar makes of them would be learned from, though it is paid for nothing. */
  #isTooMany(from: string): boolean {
    return this.#isNewcomer(from) && ++this.#of_newcomers > this.#most_of_newcomers;
  }

  /** The log has given this worker another stage: it goes on with the round there. */
  isMoved(): boolean {
    const { task, plan } = this.#options;
    const stage = this.#channel.stages().get(task.peer);
    return stage !== undefined && stage !== plan.stage;
  }

  finished(from: string, unmade: number): void {
    if (!this.#finished.has(from) && this.#makers.delete(from)) this.#takeOver(unmade);
    this.#finished.add(from);
    this.#flights.look();
    this.#awake();
  }

  /**
   * A message of a device that may send it, whole and signed; null: it was done already, or nobody waits for it.
   * Throws GameError `bad-message`, ModelError `bad-activations`.
   */
  async #accepted(from: string, message: HandedOn): Promise<Omit<Job, 'settle'> | null> {
    const { task, plan } = this.#options;
    const { kind, signature } = message;
    const isForward = kind === 'activations';
    const expected = plan.stage + (isForward ? -1 : 1);
    const stage = this.#channel.stages().get(from);
    if (stage !== expected) {
      const fact = `${kind} for stage ${plan.stage}: expected them of stage ${expected}, they came of ${stage ?? 'nobody who works here'}`;
      throw new GameError('bad-message', fact, { from });
    }
    const key = `${kind} ${nameOf(message)} ${from}`;
    if (this.#seen.has(key) || !(isForward || this.#flights.isWith(nameOf(message), from))) return null;
    const { activations_in, gradients_in } = this.#layouts;
    const layout = isForward ? activations_in! : gradients_in!;
    const payload = unsqueezed(payloadForm(this.#shape, kind, layout), message.payload);
    const forward = isForward ? decodeForward(this.#shape, payload) : null;
    checkReceived(layout, forward?.activations ?? payload);
    const hash = hashOfPayload(payload);
    if (
      !isSigned(task.round.run, from, handedStatement(kind, this.#seed, expected, task.peer, message, hash), signature)
    ) {
      throw new GameError('bad-message', `${kind}: expected them signed by who hands them on`, { from });
    }
    // Judges refuse whoever has worked on what nobody was to make, or on another text.
    if (forward && !(await this.#isAsked(message, forward))) {
      const fact = `${kind}: expected the text that the round gives a maker of micro-batches`;
      throw new GameError('bad-message', fact, { from });
    }
    this.#seen.add(key);
    const { origin, number } = message;
    this.#kept.received({ kind, by: from, to: task.peer, of: { origin, number } }, { hash, signature, payload });
    return { from, message: { ...message, payload }, hash };
  }

  /** Whether the round asks for this micro-batch, of somebody who has held the first stage in it. */
  async #isAsked({ origin, number }: MicroBatch, windows: Windows): Promise<boolean> {
    const held = this.#channel.held()?.get(origin)?.has(0) ?? false;
    const isMaker = held || this.#makers.has(origin) || this.#channel.stages().get(origin) === 0;
    return isMaker && number < mostMade(this.#params) && this.#options.text.isOf({ origin, number }, windows);
  }

  /** @returns false: there is nothing to do now */
  async #doNext(): Promise<boolean> {
    const job = this.#gradients.shift() ?? this.#forward.shift();
    try {
      if (job) await this.#doJob(job);
      else if (this.#mayMake()) await this.#make();
      else return false;
    } catch (error) {
      // What came in was looked at when it came.
      throw error instanceof ModelError ? diverged(this.#options.task.round.number, this.#params) : error;
    } finally {
      job?.settle();
    }
    return true;
  }

  #doJob(job: Job): Promise<void> {
    if (job.message.kind === 'gradient') return this.#takeBack(job);
    return this.#options.plan.range.head ? this.#learn(job) : this.#takeOn(job);
  }

  async #make(): Promise<void> {
    const { task, text } = this.#options;
    const of = { origin: task.peer, number: this.#made++ };
    await this.#passOn(of, { ...(await text.of(of)), activations: null }, null);
  }

  #takeOn({ from, message, hash }: Job): Promise<void> {
    return this.#passOn(message, decodeForward(this.#shape, message.payload), { by: from, hash });
  }

  /** The forward pass, and on to the next stage. */
  async #passOn(
    { origin, number }: MicroBatch,
    { activations, ...windows }: Windows & { readonly activations: Uint8Array | null },
    came: Handed | null,
  ): Promise<void> {
    const of = { origin, number };
    const input = { tokens: windows.tokens, activations, name: nameOf(of) };
    const payload = encodeForward(this.#shape, windows, await this.#options.stage.forward(input));
    const went = hashOfPayload(payload);
    const forward = this.#enter({ kind: 'forward', of, came, went });
    const message = (to: string) => this.#signed('activations', to, of, payload, went);
    this.#flights.begin({ of, input, forward, from: came?.by ?? null, message });
  }

  /** In the last stage: forward and back at once. */
  async #learn({ from, message, hash }: Job): Promise<void> {
    const { origin, number, payload } = message;
    const of = { origin, number };
    const { tokens, targets, activations } = decodeForward(this.#shape, payload);
    const { gradient, loss } = await this.#options.stage.backward({ tokens, activations, name: nameOf(of) }, targets);
    const went = hashOfPayload(gradient!);
    const loss_micro = toldMicro(loss!);
    this.#enter({ kind: 'learn', of, came: { by: from, hash }, went, loss_micro });
    await this.#reply(from, of, gradient!, went);
    await this.#finishedOne();
  }

  async #takeBack({ from, message, hash }: Job): Promise<void> {
    const flight = this.#flights.landed(nameOf(message), from);
    if (!flight) return;
    const { gradient } = await this.#options.stage.backward(flight.input, message.payload);
    const went = gradient && hashOfPayload(gradient);
    this.#enter({ kind: 'backward', forward: flight.forward, came: { by: from, hash }, went });
    if (gradient) await this.#reply(flight.from!, flight.of, gradient, went!);
    await this.#finishedOne();
  }

  /** A gradient goes to who sent the activations. If that device is gone, nobody else has use for it. */
  async #reply(to: string, of: MicroBatch, gradient: Uint8Array, hash: string): Promise<void> {
    const message = await this.#signed('gradient', to, of, gradient, hash);
    this.#channel.send(to, message, this.#over.signal).catch(() => {});
  }

  async #finishedOne(): Promise<void> {
    if (this.#options.stage.pending >= this.#params.micro_batches) await this.#step();
    await this.#options.device.progress(this.#underWay());
  }

  async #step(): Promise<void> {
    const { task, stage } = this.#options;
    const { gradient_norm } = await stage.step(learningRateAt(task.params, task.round, this.#tally.steps));
    if (!Number.isFinite(gradient_norm)) throw diverged(task.round.number, this.#params);
    this.#enter({ kind: 'step' });
  }

  /** @returns the entry's index in the transcript */
  #enter(entry: Entry): number {
    this.#tally.add(entry);
    return this.#transcript.push(entry) - 1;
  }

  /** The message that hands this on; what it says is kept. */
  async #signed(kind: HandedOn['kind'], to: string, of: MicroBatch, payload: Uint8Array, hash: string) {
    const { plan, task } = this.#options;
    const signature = await this.#channel.sign(handedStatement(kind, this.#seed, plan.stage, to, of, hash));
    this.#kept.sent({ kind, by: task.peer, to, of }, { hash, signature, payload });
    const { activations_out, gradients_out } = this.#layouts;
    const layout = kind === 'activations' ? activations_out! : gradients_out!;
    const sent = squeezed(payloadForm(this.#shape, kind, layout), payload);
    return encodeMessage({ kind, seed: this.#seed, ...of, payload: sent, signature });
  }

  #others(): string[] {
    return [...this.#channel.stages().keys()].filter((device) => device !== this.#options.task.peer);
  }

  #inStage(wanted: number): string[] {
    return [...this.#channel.stages()].flatMap(([device, stage]) => (stage === wanted ? device : []));
  }

  /** As much is left of the part of a maker that has left without a word as of this worker's own. */
  #lookForMakers(): void {
    const present = this.#inStage(0);
    for (const maker of this.#makers) {
      if (present.includes(maker)) continue;
      this.#makers.delete(maker);
      this.#takeOver(this.#part - this.#made);
    }
  }

  /** What another maker leaves unmade those that are left make, each a part of it. */
  #takeOver(unmade: number): void {
    if (this.#isNewcomer(this.#options.task.peer)) return;
    const makers = Math.max(1, [...this.#makers].filter((maker) => !this.#isNewcomer(maker)).length);
    const more = Math.ceil(Math.min(this.#part, Math.max(0, unmade)) / makers);
    this.#most = Math.min(mostMade(this.#params), this.#most + more);
  }

  /**
   * The micro-batches of a step are under way together, those of the next one when all are back: a gradient that comes after a step would be that of
   * weights that are gone, which cost 1 % of the loss (docs/experiments.md).
   */
  #mayMake(): boolean {
    if (!this.#options.plan.range.embedding || this.#made >= this.#most) return false;
    return this.#made % this.#params.micro_batches !== 0 || this.#flights.count === 0;
  }

  #isDone(): boolean {
    if (this.#gradients.length + this.#forward.length > 0) return false;
    if (this.#flights.hopeless || this.#kept.full) return true;
    if (this.#options.plan.range.embedding) return this.#made >= this.#most && this.#flights.count === 0;
    // What is under way now was given up by who made it.
    const makers = this.#inStage(0);
    return makers.length > 0 && makers.every((device) => this.#finished.has(device));
  }

  #awake(): void {
    this.#woken = true;
    this.#wake();
  }

  async #untilWoken(): Promise<void> {
    if (this.#woken) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** What it tells while it works: beside what it will claim, what is on its way, for people to see (traffic.ts). */
  #underWay(): Told {
    const { amount, numbers } = this.#tally.told();
    const queued = this.#gradients.length + this.#forward.length;
    return { amount, numbers: { ...numbers, ...trafficNumbers({ under_way: this.#flights.count, queued }) } };
  }
}

/** What was computed here is not finite. */
function diverged(round: number, { learning_rate }: PipelineParams): GameError {
  return new GameError(
    'diverged',
    `training left the finite numbers in round ${round}, so there is nothing to hand in: the run's learning rate of ${learning_rate} may be too high`,
    { round },
  );
}

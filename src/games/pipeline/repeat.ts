// A judge takes the first entries of a worker's transcript again, in their order, from the stage of the round and the state that the worker began
// with: the same inputs give the same outputs, the same steps, and at the end the same update, but for rounding.
import { bytesToHex } from '@noble/hashes/utils.js';
import { ModelError } from '../../model/errors.ts';
import { boundaryBytes, checkReceived } from '../../model/pipeline/boundary.ts';
import { boundaryDistance } from '../../model/pipeline/boundary-distance.ts';
import { layoutsOf } from '../../model/pipeline/graphs.ts';
import type { Stage, StageInput } from '../../model/pipeline/stage.ts';
import { PART_BYTES } from '../../model/tensor-manifest.ts';
import { updateDistance } from '../../training/re-execution.ts';
import { compressTensor, feedbackOf, type SparseTensor, type SparseUpdate } from '../../training/sparse.ts';
import { besideLoss, type FollowedTolerance, followedTolerance, handedTolerance } from '../../training/tolerances.ts';
import { GameError } from '../errors.ts';
import type { Device, Judging, TensorSource } from '../game.ts';
import { AFRESH, type KeptPieces, takeCarried } from '../pretrain/carried.ts';
import { learningRateAt, parameterCount } from '../pretrain/params.ts';
import { shaken } from '../pretrain/rounding.ts';
import { toldMicro } from '../pretrain/work.ts';
import { Refused } from '../refused.ts';
import { deskOf } from './desk.ts';
import { type Begun, beginRound, changesOf, momentsOf, stageOn } from './device.ts';
import { Evidence } from './evidence.ts';
import { nameOf } from './flights.ts';
import { type Followed, followedBy } from './followed.ts';
import { decodeForward, encodeForward, hashOfPayload, type PayloadShape, windowBytes } from './messages.ts';
import { type PipelineTask, type StagePlan, stageOptions } from './params.ts';
import { Tally } from './tally.ts';
import { RoundText } from './text.ts';
import type { Entry, StageWork } from './work.ts';

/** Work whose form is right. */
export interface Judged {
  readonly task: PipelineTask;
  readonly plan: StagePlan;
  readonly work: StageWork;
  readonly update: SparseUpdate;
  readonly device: Device;
  readonly judging: Judging;
}

/** What a worker began with; limits are null where this judge does not know its moments, so that only what comes before the first step can be taken again. */
interface Start {
  /** null: afresh. */
  readonly pieces: KeptPieces | null;
  readonly limits: FollowedTolerance | null;
  /** Whether every bit is known, and will be the same here. */
  readonly exact: boolean;
}

/** Beyond so many times what is allowed, no rounding has added up. */
const FAR = 3;
/** As in pretrain/rounding.ts: so many times as far as from a twin that differs by rounding alone. */
const BEYOND_TWIN = 16;
/** Outputs that are not the same to the bit are fetched and compared; so many of them at most, spread evenly. */
const MOST_COMPARED = 64;
/** The part of the time for judging after which no more entries are taken again. */
const REPEATING_PART = 0.75;

/** The measurements. Throws Refused. */
export async function repeatWork(judged: Judged): Promise<Readonly<Record<string, unknown>>> {
  const stage = await stageOn(judged.device, judged.task.params, judged.plan);
  return new Repetition(judged, stage, await startOf(judged)).run();
}

async function startOf(judged: Judged): Promise<Start> {
  const { work, device, judging } = judged;
  const start = bytesToHex(work.start);
  const known =
    start === bytesToHex(AFRESH)
      ? { pieces: null, apart: 0 }
      : (followedBy(device).find(start) ?? (await shownStart(judged)));
  const limits = known ? followedTolerance(judging.runtime, device.runtime.class, known.apart) : null;
  if (!known || !limits) return { pieces: null, limits: null, exact: false };
  const isSame = judging.runtime === EXACT && device.runtime.class === EXACT;
  return { pieces: known.pieces, limits, exact: isSame && known.apart === 0 };
}

/** A state that is shown is waited for in this part of the time for judging … */
const STATE_PART = 0.25;
/** … and that long even a slow line takes for it: a worker that does not show a state that comes in time is not judged by less. */
const STATE_BYTES_PER_MS = 500;

/** The state as the worker shows it, proven by the hash in its work; null: it is too large to be shown in the time for judging. */
async function shownStart({ task, plan, work, device, judging }: Judged): Promise<Followed | null> {
  const { seed, number } = task.round;
  const { clock } = device.channel!; // without one nothing is repeated
  const until_ms = clock.elapsed_ms() + judging.time_ms * STATE_PART;
  const size_bytes = 3 * 4 * parameterCount(plan.specs);
  const desk = deskOf(device);
  const piece = (part: number | null) =>
    desk.askCarried(task.peer, seed, { part, most_bytes: PART_BYTES, time_ms: until_ms - clock.elapsed_ms() });
  const shown = await followedBy(device).keepShown(plan.specs, bytesToHex(work.start), number - 1, piece);
  if (shown) return shown;
  if (size_bytes <= judging.time_ms * STATE_PART * STATE_BYTES_PER_MS) throw new Refused('state-withheld', false);
  return null;
}

/** Its results have the same bits on every machine. */
const EXACT = 'wasm';

type Ran = { readonly out: Uint8Array | null; readonly loss: number | null };

class Repetition {
  readonly #judged: Judged;
  readonly #stage: Stage;
  readonly #shape: PayloadShape;
  readonly #layouts: ReturnType<typeof layoutsOf>;
  readonly #evidence: Evidence;
  readonly #start: Start;
  readonly #end: number;
  readonly #until_ms: number;
  /** Entries that were taken again, whose outputs are the same to the bit, and that were compared; what neighbours agree with; the largest distance. */
  readonly #found = { entries: 0, same: 0, compared: 0, agreed: 0, apart: 0 };
  readonly #losses = { count: 0, sum: 0, apart: 0 };
  readonly #text: RoundText;
  #begun: Begun | null = null;

  constructor(judged: Judged, stage: Stage, start: Start) {
    const { task, plan, work, device, judging } = judged;
    this.#judged = judged;
    this.#stage = stage;
    this.#shape = { ...task.params, vocab_size: task.params.model.vocab_size };
    this.#layouts = layoutsOf(task.params.model, stageOptions(task.params, plan));
    this.#start = start;
    this.#text = new RoundText(task.params, task.round, device);
    this.#until_ms = device.channel!.clock.elapsed_ms() + judging.time_ms * REPEATING_PART;
    const drawn = Math.ceil((work.transcript.length * judging.repeat_permille) / 1000);
    const step = work.transcript.findIndex(({ kind }) => kind === 'step');
    this.#end = this.#start.limits || step < 0 ? drawn : Math.min(drawn, step);
    const { activations_in, gradients_in } = this.#layouts;
    const sizes_bytes = [activations_in, gradients_in].map((layout) => (layout ? boundaryBytes(layout) : 0));
    const payload_bytes = windowBytes(this.#shape) + Math.max(...sizes_bytes);
    this.#evidence = new Evidence({
      ...{ task, plan, transcript: work.transcript, device, time_ms: judging.time_ms, payload_bytes },
    });
  }

  async run(): Promise<Readonly<Record<string, unknown>>> {
    const { task, work } = this.#judged;
    this.#found.agreed = await this.#evidence.checkHandedOn(this.#end);
    await this.#take(task.state, this.#end, (at, ran) => this.#compare(at, ran));
    this.#compareLosses();
    const update = this.#found.entries === work.transcript.length ? await this.#compareUpdate() : null;
    return this.#told(update === null ? {} : { update });
  }

  /** Takes entries again, from these weights, while there is time. */
  async #take(from: TensorSource, end: number, done: (at: number, ran: Ran) => Promise<void>): Promise<void> {
    const { task, plan, work, device } = this.#judged;
    this.#begun = await this.#begin(from);
    const passes = new Map<number, StageInput>();
    const tally = new Tally(task.params, plan);
    for (const [at, entry] of work.transcript.slice(0, end).entries()) {
      if (device.channel!.clock.elapsed_ms() > this.#until_ms) return;
      if (entry.kind === 'step') {
        const { gradient_norm } = await this.#finite(() =>
          this.#stage.step(learningRateAt(task.params, task.round, tally.steps)),
        );
        if (!Number.isFinite(gradient_norm)) throw new Refused('diverged', false);
        tally.add(entry);
        await done(at, { out: null, loss: null });
        continue;
      }
      await done(at, await this.#finite(() => this.#again(at, entry, passes)));
      tally.add(entry);
      await device.progress({ amount: tally.told().amount, numbers: { steps: tally.steps } });
    }
  }

  async #begin(from: TensorSource): Promise<Begun> {
    const { pieces } = this.#start;
    return beginRound(this.#stage, this.#judged.plan, from, async (take) => {
      if (pieces === null) return null;
      const taken = await takeCarried(this.#judged.plan.specs, pieces, async () => true, take);
      if (taken) return taken;
      throw new GameError(
        'could-not-run',
        'the state of a worker that this device has followed is gone from its drawer',
      );
    });
  }

  async #again(at: number, entry: Exclude<Entry, { kind: 'step' }>, passes: Map<number, StageInput>): Promise<Ran> {
    if (entry.kind === 'backward') {
      const input = passes.get(entry.forward)!;
      passes.delete(entry.forward);
      const { gradient } = await this.#stage.backward(input, await this.#cameIn(at));
      return { out: gradient, loss: null };
    }
    const { of, came } = entry;
    const { tokens, targets, activations } =
      came === null
        ? { ...(await this.#text.of(of)), activations: null }
        : decodeForward(this.#shape, await this.#cameIn(at));
    // Honest software takes no other: what two vouch for may be made up, or the same again and again.
    if (came !== null && !(await this.#text.isOf(of, { tokens, targets }))) {
      throw new Refused('another-text', true, this.#told({ entry: at }));
    }
    const input = { tokens, activations, name: nameOf(of) };
    if (entry.kind === 'learn') {
      const { gradient, loss } = await this.#stage.backward(input, targets);
      return { out: gradient, loss };
    }
    passes.set(at, input);
    const out = encodeForward(this.#shape, { tokens, targets }, await this.#stage.forward(input));
    return { out, loss: null };
  }

  /** Of bytes that honest software would not have taken. */
  async #cameIn(at: number): Promise<Uint8Array> {
    const payload = await this.#evidence.cameIn(at, this.#end);
    const { activations_in, gradients_in } = this.#layouts;
    const isBack = this.#judged.work.transcript[at].kind === 'backward';
    try {
      if (isBack) checkReceived(gradients_in!, payload);
      else checkReceived(activations_in!, decodeForward(this.#shape, payload).activations);
    } catch (error) {
      if (error instanceof ModelError) throw new Refused('inputs-made-up', true, this.#told({ entry: at }));
      throw error;
    }
    return payload;
  }

  /** What is computed here leaves the finite numbers: that says nothing of the work, and a merge of such work would be worth nothing. */
  async #finite<T>(compute: () => Promise<T>): Promise<T> {
    try {
      return await compute();
    } catch (error) {
      if (error instanceof ModelError) throw new Refused('diverged', false, this.#told({}));
      throw error;
    }
  }

  async #compare(at: number, { out, loss }: Ran): Promise<void> {
    const { judging, work } = this.#judged;
    const entry = work.transcript[at];
    this.#found.entries++;
    if (loss !== null && entry.kind === 'learn') {
      this.#losses.count++;
      this.#losses.sum += loss;
      this.#losses.apart += Math.abs(entry.loss_micro - toldMicro(loss)) / 1e6;
    }
    if (entry.kind === 'step' || out === null) return;
    const hash = hashOfPayload(out);
    if (hash === entry.went) {
      this.#found.same++;
      return;
    }
    if (this.#start.exact) throw new Refused('other-outputs', true, this.#told({ entry: at }));
    const spread = Math.ceil(this.#end / MOST_COMPARED);
    if (at % spread !== Math.floor(judging.place * spread)) return;
    await this.#compareValues(at, out);
  }

  async #compareValues(at: number, found: Uint8Array): Promise<void> {
    const { judging, device } = this.#judged;
    const distance = this.#distance(at, await this.#evidence.wentOut(at), found);
    const isMoved = this.#isMoved(at);
    const { unmoved, moved } = handedTolerance(judging.runtime, device.runtime.class);
    const limit = isMoved ? moved : unmoved;
    this.#found.compared++;
    this.#found.apart = Math.max(this.#found.apart, distance);
    if (distance <= limit) return;
    const told = this.#told({ entry: at, limit });
    let fraud = distance > FAR * limit;
    if (fraud && isMoved) fraud = (await this.#twinApart(at, found)) * BEYOND_TWIN <= limit;
    throw new Refused('other-outputs', fraud, told);
  }

  /** How far outputs go apart by rounding alone: the same entries again, from weights that differ by nothing else. */
  async #twinApart(at: number, found: Uint8Array): Promise<number> {
    let apart = Number.POSITIVE_INFINITY;
    await this.#take(this.#shaken(), at + 1, async (i, { out }) => {
      if (i === at) apart = this.#distance(at, out!, found);
    });
    return apart;
  }

  /** Whether a step has moved the weights before this entry. */
  #isMoved(at: number): boolean {
    return this.#judged.work.transcript.slice(0, at).some(({ kind }) => kind === 'step');
  }

  /** How far outputs are from those found (boundaryDistance). Infinity for other tokens, and for what is no payload of this stage. */
  #distance(at: number, claimed: Uint8Array, found: Uint8Array): number {
    const isForward = this.#judged.work.transcript[at].kind === 'forward';
    const layout = isForward ? this.#layouts.activations_out! : this.#layouts.gradients_out!;
    const head_bytes = isForward ? windowBytes(this.#shape) : 0;
    const hasTokens = found.subarray(0, head_bytes).every((byte, i) => byte === claimed[i]);
    if (!hasTokens || claimed.length !== found.length) return Number.POSITIVE_INFINITY;
    try {
      return boundaryDistance(layout, claimed.subarray(head_bytes), found.subarray(head_bytes));
    } catch (error) {
      if (error instanceof ModelError) return Number.POSITIVE_INFINITY;
      throw error;
    }
  }

  /** When every entry was taken again. @returns how far the update is from the repeated one */
  async #compareUpdate(): Promise<number> {
    const { task, plan, work, update, device } = this.#judged;
    const { limits, exact } = this.#start;
    const { specs } = plan;
    const found = await this.#learned(task.state);
    if (found === null) throw new Refused('diverged', false, this.#told({}));
    const apart = updateDistance(specs, update, found);
    const limit = exact ? 0 : limits!.update;
    if (apart > limit) {
      const told = this.#told({ update: apart, limit });
      const isNear = this.#begun!.steps > 0 && apart <= FAR * limit;
      const twin = exact || isNear ? null : await this.#twinUpdate();
      const isSteady = exact || (twin !== null && updateDistance(specs, twin, found) <= limit);
      throw new Refused('other-update', isSteady, told);
    }
    await followedBy(device).keep(specs, bytesToHex(work.end), { round: task.round.number, apart }, this.#left());
    return apart;
  }

  /** The update of what the stage has learned from these weights; null: it is not finite. */
  async #learned(from: TensorSource): Promise<SparseUpdate | null> {
    const { task, plan } = this.#judged;
    const learned = new Map<string, SparseTensor>();
    for await (const changed of changesOf(this.#stage, plan, from, this.#begun!)) {
      if (changed === null) return null;
      const { spec, change, error } = changed;
      learned.set(spec.name, compressTensor(spec, change, error, task.params.sparse).tensor);
    }
    return learned;
  }

  /** What the worker carries now. What was sent counts, not what should have been: so followers stay near for as long as they follow. */
  async *#left(): AsyncGenerator<Float32Array> {
    const { task, plan, update } = this.#judged;
    yield* momentsOf(this.#stage, plan);
    for await (const changed of changesOf(this.#stage, plan, task.state, this.#begun!)) {
      const { spec, change, error } = changed!; // they were finite a moment ago
      yield feedbackOf(spec, change, error, update.get(spec.name)!, task.params.sparse);
    }
  }

  /** What all entries change from weights that differ by rounding alone; null: there is no time for that, or it is not finite. */
  async #twinUpdate(): Promise<SparseUpdate | null> {
    let entries = 0;
    await this.#take(this.#shaken(), this.#end, async () => {
      entries++;
    });
    return entries < this.#end ? null : this.#learned(this.#judged.task.state);
  }

  #shaken(): TensorSource {
    const { state } = this.#judged.task;
    return { read: async (names) => shaken(await state.read(names)) };
  }

  /** Losses are told with the gradients that come of them: what is off in them alone was never computed. */
  #compareLosses(): void {
    const { judging, device } = this.#judged;
    const { count, sum, apart } = this.#losses;
    if (count === 0) return;
    const { mean_loss } = this.#start.limits ?? followedTolerance(judging.runtime, device.runtime.class, 0)!;
    const allowed = besideLoss(mean_loss, sum / count);
    if (apart / count <= allowed) return;
    throw new Refused('other-losses', apart / count > FAR * allowed, this.#told({ limit: allowed }));
  }

  #told(more: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    const { count, apart } = this.#losses;
    const from = this.#start.limits ? 'the state of the worker' : 'the weights, until its first step';
    return { from, ...this.#found, ...(count > 0 && { mean_loss: apart / count }), ...more };
  }
}

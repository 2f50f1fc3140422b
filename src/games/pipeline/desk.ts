// Where a device of a pipeline hears the others: it passes what is said of the round under way to whoever works on it, lets messages of the next
// round wait, and answers for rounds that it has finished. There is one for each device, for as long as the device is there.
import type { Timer } from '../../protocol/clock.ts';
import type { Device, DeviceChannel } from '../game.ts';
import type { Kept, Shown } from './kept.ts';
import {
  decodeMessage,
  encodeMessage,
  type HandedOn,
  type PipelineMessage,
  SLICE_BYTES,
  type Wanted,
} from './messages.ts';

/** Who works on a round. */
export interface AtWork {
  /** Resolves when this device has done with it. Rejects with a CodedError for a message that cannot be. */
  handed(from: string, message: HandedOn): Promise<void>;
  /** The other device takes no more of this round. `unmade`: the micro-batches that it was to make and leaves to others. */
  finished(from: string, unmade: number): void;
  /** Whether this device holds another stage by now: what comes is for its work there. */
  isMoved(): boolean;
}

export interface Desk {
  /** This device works on a round from now on; messages of any other round that wait are dropped. */
  begin(seed: string, atWork: AtWork): void;
  /**
   * It has finished the round, or with its stage alone, where it was moved to another one: then messages wait until it begins again. What it has
   * of the round is shown until it has finished the one after the next.
   */
  end(seed: string, kept: Kept, moved?: boolean): void;
  /** Tells all of these devices. Who is not there does not hear it. */
  tell(devices: Iterable<string>, message: PipelineMessage): void;
  /**
   * Asks another device what was handed on in a round, at most MOST_ASKED things at once. Resolves when it has answered for all of them, or time
   * is over; null stands for what it has not shown. Nothing of it is verified.
   */
  ask(device: string, question: Question): Promise<(Shown | null)[]>;
  /** Asks for a piece of the state that another device began a round with. Nothing of it is verified; null: it is not shown in time, or is too large. */
  askCarried(device: string, seed: string, piece: CarriedPiece): Promise<Uint8Array | null>;
}

export interface Question {
  readonly seed: string;
  readonly wanted: readonly Wanted[];
  /** Whole, or only their hashes and signatures. */
  readonly payloads: boolean;
  readonly time_ms: number;
}

export interface CarriedPiece {
  /** null: the manifest. */
  readonly part: number | null;
  readonly most_bytes: number;
  readonly time_ms: number;
}

/** A judge asks about the round before while the next one is under way. */
const ROUNDS_KEPT = 2;
/** Of all that it has of a round a device shows so many times as much to each that asks: to a judge, again in an appeal, and twice for what was lost. */
const SHOWN_TIMES = 4;

/** Who has handed a micro-batch on has given it up by then, and whoever begins a round asks who has finished it. */
const WAITS_MS = 60_000;
/** With one at a time each answer would take a way there and back, and a judge far away would hear too few of them in time. */
const ANSWERS_UNDER_WAY = 8;

const desks = new WeakMap<DeviceChannel, Desk>();

/** The desk of a device with a channel. */
export function deskOf(device: Pick<Device, 'channel'>): Desk {
  const channel = device.channel!; // the game names it among its needs
  const known = desks.get(channel);
  if (known) return known;
  const opened = new OpenDesk(channel);
  desks.set(channel, opened);
  return opened;
}

interface Past {
  /** Of each stage that it held in the round. */
  readonly kept: readonly Kept[];
  /** It takes no more of the round. */
  readonly finished: boolean;
  /** How much was shown, by who asked. */
  readonly shown: Map<string, number>;
}

type AskedSlice = Extract<PipelineMessage, { kind: 'show-carried' }>;
type Answer = Extract<PipelineMessage, { kind: 'shown' | 'shown-carried' }>;

/** A question that waits for its answer, or its answers. */
interface Asked {
  readonly device: string;
  hear(message: Answer): void;
}

interface Waiting {
  readonly from: string;
  readonly message: PipelineMessage;
  readonly resolve: (done?: Promise<void>) => void;
  readonly timer: Timer;
}

class OpenDesk implements Desk {
  readonly #channel: DeviceChannel;
  #now: { readonly seed: string; readonly atWork: AtWork } | null = null;
  readonly #waiting = new Set<Waiting>();
  /** Rounds by their seed, newest last. */
  readonly #past = new Map<string, Past>();
  readonly #asked = new Map<number, Asked>();
  #asks = 0;

  constructor(channel: DeviceChannel) {
    this.#channel = channel;
    channel.listen((from, message) => this.#hear(from, decodeMessage(message)));
  }

  begin(seed: string, atWork: AtWork): void {
    this.#now = { seed, atWork };
    const moved = this.#past.has(seed);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const { from, message, resolve, timer } of waiting) {
      this.#channel.clock.clearTimeout(timer);
      const heard = this.#hear(from, message);
      // Some of it may have been meant for the stage before. Whoever sent it sees in the log that it has to go elsewhere.
      resolve(moved ? heard.catch(() => {}) : heard);
    }
  }

  end(seed: string, kept: Kept, moved = false): void {
    if (this.#now?.seed === seed) this.#now = null;
    const before = this.#past.get(seed);
    this.#past.delete(seed);
    const all = [...(before?.kept ?? []), kept];
    this.#past.set(seed, { kept: all, finished: !moved, shown: before?.shown ?? new Map() });
    if (this.#past.size > ROUNDS_KEPT) this.#past.delete(this.#past.keys().next().value!);
  }

  tell(devices: Iterable<string>, message: PipelineMessage): void {
    const encoded = encodeMessage(message);
    for (const to of devices) this.#channel.send(to, encoded).catch(() => {});
  }

  async ask(device: string, { seed, wanted, payloads, time_ms }: Question): Promise<(Shown | null)[]> {
    const answers = new Map<number, Shown | null>();
    await this.#asking(device, time_ms, (ask, answered) => {
      const hear = (message: Answer): void => {
        if (message.kind !== 'shown' || message.at >= wanted.length || answers.has(message.at)) return;
        answers.set(message.at, message.was ?? null);
        if (answers.size === wanted.length) answered();
      };
      return { hear, question: { kind: 'show', seed, ask, payloads, wanted: [...wanted] } };
    });
    return wanted.map((_, at) => answers.get(at) ?? null);
  }

  async askCarried(device: string, seed: string, { part, most_bytes, time_ms }: CarriedPiece) {
    const { clock } = this.#channel;
    const until_ms = clock.elapsed_ms() + time_ms;
    let whole: Uint8Array | null = null;
    for (let slice = 0; slice * SLICE_BYTES < (whole?.length ?? 1); slice++) {
      const was = await this.#askSlice(device, until_ms - clock.elapsed_ms(), { seed, part, slice });
      if (!was || was.size_bytes > most_bytes || (whole && was.size_bytes !== whole.length)) return null;
      whole ??= new Uint8Array(was.size_bytes);
      if (was.slice.length !== Math.min(SLICE_BYTES, whole.length - slice * SLICE_BYTES)) return null;
      whole.set(was.slice, slice * SLICE_BYTES);
    }
    return whole;
  }

  async #askSlice(device: string, time_ms: number, of: Omit<AskedSlice, 'kind' | 'ask'>) {
    let was: Extract<Answer, { kind: 'shown-carried' }>['was'];
    await this.#asking(device, time_ms, (ask, answered) => {
      const hear = (message: Answer): void => {
        if (message.kind !== 'shown-carried') return;
        was ??= message.was;
        answered();
      };
      return { hear, question: { kind: 'show-carried', ask, ...of } };
    });
    return was;
  }

  /** Asks, and waits until it is answered, or there is nobody to answer, or time is over. */
  async #asking(
    device: string,
    time_ms: number,
    open: (ask: number, answered: () => void) => Pick<Asked, 'hear'> & { readonly question: PipelineMessage },
  ): Promise<void> {
    const ask = this.#asks++;
    const over = new AbortController();
    const { promise, resolve } = Promise.withResolvers<void>();
    const { hear, question } = open(ask, resolve);
    this.#asked.set(ask, { device, hear });
    const { clock } = this.#channel;
    const timer = clock.setTimeout(resolve, Math.max(0, time_ms));
    this.#channel.send(device, encodeMessage(question), over.signal).catch(() => resolve());
    await promise;
    clock.clearTimeout(timer);
    over.abort();
    this.#asked.delete(ask);
  }

  async #hear(from: string, message: PipelineMessage): Promise<void> {
    const { seed, kind } = message;
    if (kind === 'show') return this.#show(from, message);
    if (kind === 'show-carried') return this.#showCarried(from, message);
    if (kind === 'shown' || kind === 'shown-carried') {
      const asked = this.#asked.get(message.ask);
      if (asked?.device === from) asked.hear(message);
      return;
    }
    const finished = this.#past.get(seed)?.finished ?? false;
    if (this.#now === null ? !finished : this.#now.seed === seed && this.#now.atWork.isMoved()) {
      return this.#wait(from, message);
    }
    if (kind === 'here') {
      if (finished) this.tell([from], { kind: 'finished', seed });
    } else if (this.#now?.seed === seed) {
      if (kind === 'finished') this.#now.atWork.finished(from, message.unmade ?? 0);
      else await this.#now.atWork.handed(from, message);
    }
  }

  /** Until a round begins. A validator never begins one, and what is of a round that is not begun soon is no use to anybody. */
  #wait(from: string, message: PipelineMessage): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#channel.clock.setTimeout(() => {
        this.#waiting.delete(waiting);
        resolve();
      }, WAITS_MS);
      const waiting: Waiting = { from, message, resolve, timer };
      this.#waiting.add(waiting);
    });
  }

  /** In order, a few under way at a time. Who cannot be reached gets no more of them. */
  async #show(
    from: string,
    { seed, ask, wanted, payloads }: Extract<PipelineMessage, { kind: 'show' }>,
  ): Promise<void> {
    const past = this.#past.get(seed);
    const count = past?.kept.reduce((sum, kept) => sum + kept.count, 0) ?? 0;
    const underWay: Promise<boolean>[] = [];
    for (const [at, one] of wanted.entries()) {
      const shown = past?.shown.get(from) ?? 0;
      const found = shown < SHOWN_TIMES * count ? foundIn(past!.kept, one) : undefined;
      if (found) past!.shown.set(from, shown + 1);
      const { hash, signature, payload } = found ?? {};
      const was = hash && signature && { hash, signature, ...(payloads && payload && { payload }) };
      const message = encodeMessage({ kind: 'shown', seed, ask, at, ...(was && { was }) });
      underWay.push(
        this.#channel.send(from, message).then(
          () => true,
          () => false,
        ),
      );
      if (underWay.length >= ANSWERS_UNDER_WAY && !(await underWay.shift())) return;
    }
    await Promise.all(underWay);
  }

  /** Each slice as often as anything else; who cannot be reached does without. */
  async #showCarried(from: string, { seed, ask, part, slice }: AskedSlice): Promise<void> {
    const past = this.#past.get(seed);
    const key = `${from} ${part} ${slice}`;
    const shown = past?.shown.get(key) ?? 0;
    const piece = past && shown < SHOWN_TIMES ? await past.kept.at(-1)!.began(part) : null;
    const bytes = piece?.subarray(slice * SLICE_BYTES, (slice + 1) * SLICE_BYTES);
    const isThere = piece && bytes && bytes.length > 0;
    if (isThere) past!.shown.set(key, shown + 1);
    const was = isThere && { slice: bytes, size_bytes: piece.length };
    await this.#channel
      .send(from, encodeMessage({ kind: 'shown-carried', seed, ask, ...(was && { was }) }))
      .catch(() => {});
  }
}

function foundIn(all: readonly Kept[], wanted: Wanted): Shown | undefined {
  for (const kept of all) {
    const found = kept.find(wanted);
    if (found) return found;
  }
  return undefined;
}

// What a judge gets to see of a round: the payloads behind the hashes of a worker's transcript. The worker shows them, or who was at the other
// end; each is what its hash says and its sender has signed, whoever shows it.
import { isSigned } from '../../protocol/game-statement.ts';
import type { Device } from '../game.ts';
import { Refused } from '../refused.ts';
import { deskOf } from './desk.ts';
import type { Shown } from './kept.ts';
import { handedStatement, hashOfPayload, MOST_ASKED, type Wanted } from './messages.ts';
import type { PipelineTask, StagePlan } from './params.ts';
import type { Entry, Handed, MicroBatch } from './work.ts';

/** An answer to one question: its payloads together are about so large, and it may take so long. */
const PIECE = { bytes: 2 << 20, time_ms: 8000 } as const;
/** The parts of the time for judging in which a judge waits for payloads, and for what neighbours say they got. */
const WAITING_PART = { payloads: 0.4, neighbours: 0.1 } as const;

/** Work that is found wrong is repeated once more: then nobody is asked again for what this judge has. */
const HELD_BYTES = 256 << 20;
/** Clocks and timers differ by a little. */
const NEARLY = 0.9;

export interface EvidenceOptions {
  readonly task: PipelineTask;
  readonly plan: StagePlan;
  readonly transcript: readonly Entry[];
  readonly device: Pick<Device, 'channel'>;
  readonly time_ms: number;
  /** Of one payload, about. */
  readonly payload_bytes: number;
}

/** What came in at an entry: whose gradients or activations they are. */
interface Came extends Wanted {
  readonly at: number;
  readonly stage: number;
  readonly hash: string;
}

export class Evidence {
  readonly #options: EvidenceOptions;
  readonly #came: readonly Came[];
  readonly #piece: number;
  /** Payloads that were fetched, by the index of their entry. */
  readonly #fetched = new Map<number, Uint8Array>();
  #held_bytes = 0;
  /** Devices that have let a question go unanswered: they are not asked again. */
  readonly #silent = new Set<string>();
  /** Who gave back the gradient of a forward pass, by the index of its entry. */
  readonly #backBy = new Map<number, string>();
  /** What the transcript says was handed on. */
  readonly #entered = new Set<string>();
  readonly #left_ms: { payloads: number; neighbours: number };

  constructor(options: EvidenceOptions) {
    const { transcript, payload_bytes, time_ms } = options;
    this.#options = options;
    this.#came = transcript.flatMap((_, at) => this.#cameAt(at) ?? []);
    this.#piece = Math.max(1, Math.min(MOST_ASKED, Math.floor(PIECE.bytes / payload_bytes)));
    for (const entry of transcript) {
      if (entry.kind === 'backward') this.#backBy.set(entry.forward, entry.came.by);
      if (entry.kind === 'step' || entry.went === null) continue;
      const kind = entry.kind === 'forward' ? 'activations' : 'gradient';
      this.#entered.add(enteredAs(kind, this.#microBatchOf(entry), entry.went));
    }
    this.#left_ms = {
      payloads: time_ms * WAITING_PART.payloads,
      neighbours: time_ms * WAITING_PART.neighbours,
    };
  }

  /**
   * What came in at an entry; entries are to be asked for in order, those up to `end` are fetched together, and kept while there is room. Throws Refused `inputs-withheld` where
   * nobody shows it, `inputs-made-up` where the worker shows what is not what its transcript says.
   */
  async cameIn(at: number, end: number): Promise<Uint8Array> {
    if (!this.#fetched.has(at))
      await this.#fetch(this.#came.filter((came) => came.at >= at && came.at < end && !this.#fetched.has(came.at)));
    const payload = this.#fetched.get(at);
    if (!payload) throw new Refused('inputs-withheld', false, { entry: at });
    if (this.#held_bytes > HELD_BYTES) {
      this.#fetched.delete(at);
      this.#held_bytes -= payload.length;
    }
    return payload;
  }

  /** What went out at an entry, of the worker or of who got it. Throws Refused `outputs-withheld`. */
  async wentOut(at: number): Promise<Uint8Array> {
    const entry = this.#options.transcript[at];
    if (entry.kind === 'step' || entry.went === null) throw new Error(`entry ${at}: nothing went out`);
    const { peer } = this.#options.task;
    const receiver = this.#receiverOf(at);
    const kind = entry.kind === 'forward' ? 'activations' : 'gradient';
    const wanted: Wanted = { kind, by: peer, ...this.#microBatchOf(entry), hash: entry.went };
    for (const device of [peer, ...(receiver === null ? [] : [receiver])]) {
      const [shown] = await this.#ask(device, [wanted], true, 'payloads');
      if (shown?.payload && hashOfPayload(shown.payload) === entry.went) return shown.payload;
    }
    throw new Refused('outputs-withheld', false, { entry: at });
  }

  /**
   * What neighbours were handed by the worker, of the first entries: each hash that it has signed must be in its transcript. Who began the round
   * anew has signed other hashes before, so this alone is no fraud. Throws Refused `handed-on-another`.
   */
  async checkHandedOn(end: number): Promise<number> {
    const byReceiver = new Map<string, Wanted[]>();
    for (const [at, entry] of this.#options.transcript.slice(0, end).entries()) {
      const to = this.#receiverOf(at);
      if (to === null || entry.kind === 'step' || entry.went === null) continue;
      const kind = entry.kind === 'forward' ? 'activations' : 'gradient';
      const wanted: Wanted = { kind, by: this.#options.task.peer, to, ...this.#microBatchOf(entry) };
      byReceiver.set(to, [...(byReceiver.get(to) ?? []), wanted]);
    }
    let agreed = 0;
    for (const [to, wanted] of byReceiver) {
      for (let at = 0; at < wanted.length; at += MOST_ASKED) {
        const asked = wanted.slice(at, at + MOST_ASKED);
        const shown = await this.#ask(to, asked, false, 'neighbours');
        for (const [i, one] of shown.entries()) if (one && this.#agrees(asked[i], one)) agreed++;
      }
    }
    return agreed;
  }

  #agrees({ kind, to, origin, number }: Wanted, { hash, signature }: Shown): boolean {
    const { task, plan } = this.#options;
    const { peer, round } = task;
    const statement = handedStatement(kind, round.seed, plan.stage, to!, { origin, number }, hash);
    // Anybody can say that it got something.
    if (!isSigned(round.run, peer, statement, signature)) return false;
    const isEntered = this.#entered.has(enteredAs(kind, { origin, number }, hash));
    if (!isEntered) throw new Refused('handed-on-another', false, { to, kind, number, hash });
    return true;
  }

  async #fetch(wanted: readonly Came[]): Promise<void> {
    const { peer } = this.#options.task;
    const piece = wanted.slice(0, this.#piece);
    await this.#fetchFrom(peer, piece);
    const missing = piece.filter(({ at }) => !this.#fetched.has(at));
    for (const by of new Set(missing.map((came) => came.by))) {
      await this.#fetchFrom(
        by,
        missing.filter((came) => came.by === by),
      );
    }
  }

  async #fetchFrom(device: string, piece: readonly Came[]): Promise<void> {
    const { task } = this.#options;
    const shown = await this.#ask(
      device,
      piece.map(({ at: _at, stage: _stage, ...wanted }) => wanted),
      true,
      'payloads',
    );
    for (const [i, one] of shown.entries()) {
      if (!one?.payload) continue;
      const { at, stage, kind, by, origin, number, hash } = piece[i];
      const statement = handedStatement(kind, task.round.seed, stage, task.peer, { origin, number }, hash);
      const fits = hashOfPayload(one.payload) === hash && isSigned(task.round.run, by, statement, one.signature);
      if (fits) this.#hold(at, one.payload);
      else if (device === task.peer) throw new Refused('inputs-made-up', true, { entry: at });
    }
  }

  #hold(at: number, payload: Uint8Array): void {
    this.#fetched.set(at, payload);
    this.#held_bytes += payload.length;
  }

  /** Shares the time for such questions between the devices: who is silent uses up one question's. */
  async #ask(device: string, wanted: readonly Wanted[], payloads: boolean, use: 'payloads' | 'neighbours') {
    if (this.#silent.has(device)) return wanted.map(() => null);
    const { task } = this.#options;
    const { clock } = this.#options.device.channel!;
    const began_ms = clock.elapsed_ms();
    const time_ms = Math.min(PIECE.time_ms, this.#left_ms[use]);
    const shown = await deskOf(this.#options.device).ask(device, { seed: task.round.seed, wanted, payloads, time_ms });
    const took_ms = clock.elapsed_ms() - began_ms;
    this.#left_ms[use] -= took_ms;
    // Who says that it does not have something has answered.
    if (took_ms >= time_ms * NEARLY && shown.every((one) => one === null)) this.#silent.add(device);
    return shown;
  }

  #cameAt(at: number): Came | null {
    const entry = this.#options.transcript[at];
    if (entry.kind === 'step' || entry.came === null) return null;
    const { task, plan } = this.#options;
    const isBack = entry.kind === 'backward';
    const { by, hash }: Handed = entry.came;
    return {
      ...{ at, stage: plan.stage + (isBack ? 1 : -1), kind: isBack ? 'gradient' : 'activations', by, hash },
      ...{ to: task.peer, ...this.#microBatchOf(entry) },
    };
  }

  #microBatchOf(entry: Exclude<Entry, { readonly kind: 'step' }>): MicroBatch {
    if (entry.kind !== 'backward') return entry.of;
    const forward = this.#options.transcript[entry.forward];
    if (forward.kind !== 'forward') throw new Error('a backward pass without its forward pass');
    return forward.of;
  }

  /** Who got what went out at an entry: who gave back its gradient, or who had sent the activations; null: the transcript does not say. */
  #receiverOf(at: number): string | null {
    const { transcript } = this.#options;
    const entry = transcript[at];
    if (entry.kind === 'learn') return entry.came.by;
    if (entry.kind === 'forward') return this.#backBy.get(at) ?? null;
    if (entry.kind === 'step') return null;
    const forward = transcript[entry.forward];
    return forward.kind === 'forward' ? (forward.came?.by ?? null) : null;
  }
}

const enteredAs = (kind: Wanted['kind'], { origin, number }: MicroBatch, hash: string): string =>
  `${kind} ${origin} ${number} ${hash}`;

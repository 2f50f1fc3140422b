// Micro-batches that a worker has taken forward and waits for: who has each of them, and who gets it when that device leaves or does not answer.
import type { StageInput } from '../../model/pipeline/stage.ts';
import type { DeviceChannel } from '../game.ts';
import { Routes, UsualTime } from './routes.ts';
import type { MicroBatch } from './work.ts';

const LIMITS = {
  /** A device that has not taken a micro-batch within so many times of what is usual is passed by; and at the least within so long. */
  taken_times: 2,
  taken_least_ms: 3000,
  /** A micro-batch that is not back within so many times of what is usual is given up; and at the least after so long. */
  back_times: 4,
  back_least_ms: 10_000,
  /** So many micro-batches of a round go to devices without a record, where there are others: what a liar makes of them is learned from. */
  to_newcomers: 1,
} as const;

export interface Flight {
  readonly of: MicroBatch;
  readonly input: StageInput;
  /** The index of its forward pass in the transcript. */
  readonly forward: number;
  /** Who gets the gradient; null in the first stage. */
  readonly from: string | null;
  /** What is handed on, signed for who gets it. */
  readonly message: (to: string) => Promise<Uint8Array>;
}

interface Under extends Flight {
  readonly since_ms: number;
  /** The devices that it was handed to. */
  readonly tried: Set<string>;
  /** Who has it now, and since when; null: nobody. */
  to: string | null;
  sent_ms: number;
}

export interface FlightsOptions {
  readonly channel: Pick<DeviceChannel, 'stages' | 'proven' | 'send' | 'clock'>;
  /** The stage that gets them. */
  readonly next: number;
  /** Devices that take no more in this round. */
  readonly finished: ReadonlySet<string>;
  /** Ends all that is sent. */
  readonly over: AbortSignal;
}

export const nameOf = ({ origin, number }: MicroBatch): string => `${origin}:${number}`;

export class Flights {
  readonly #options: FlightsOptions;
  readonly #under = new Map<string, Under>();
  readonly #routes = new Routes();
  /** From a micro-batch's way forward to its return, and of a device to take one. */
  readonly #back = new UsualTime();
  readonly #taken = new UsualTime();
  #to_newcomers = 0;

  constructor(options: FlightsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#under.size;
  }

  #now_ms(): number {
    return this.#options.channel.clock.elapsed_ms();
  }

  /** Whether all devices of the next stage have finished the round, so that nobody will take a micro-batch. */
  get hopeless(): boolean {
    const { channel, next, finished } = this.#options;
    const there = [...channel.stages()].filter(([, stage]) => stage === next);
    return there.length > 0 && there.every(([device]) => finished.has(device));
  }

  begin(flight: Flight): void {
    const now_ms = this.#now_ms();
    const under: Under = { ...flight, since_ms: now_ms, tried: new Set(), to: null, sent_ms: now_ms };
    this.#under.set(nameOf(flight.of), under);
    this.#handOn(under);
  }

  /** Whether this device may answer for a micro-batch: it had it, and nobody has answered before. */
  isWith(name: string, device: string): boolean {
    return this.#under.get(name)?.tried.has(device) === true;
  }

  /** It is back, from this device; null: another one was faster, or it was given up. */
  landed(name: string, from: string): Flight | null {
    const flight = this.#under.get(name);
    if (!flight) return null;
    this.#under.delete(name);
    const now_ms = this.#now_ms();
    // One that was passed by may still be the first to answer; the other one has it for nothing then.
    if (flight.to === from) this.#routes.over(from, now_ms - flight.sent_ms);
    else if (flight.to !== null) this.#routes.forget(flight.to);
    this.#back.add(now_ms - flight.since_ms);
    return flight;
  }

  /** Sees to those whose device has left or holds another stage now, and gives up those that nobody answers for. */
  look(): void {
    const stages = this.#options.channel.stages();
    const patience_ms = patience(this.#back, LIMITS.back_times, LIMITS.back_least_ms);
    for (const [name, flight] of this.#under) {
      const { to, since_ms } = flight;
      if (this.#now_ms() - since_ms > patience_ms) {
        if (to !== null) this.#routes.over(to, patience_ms);
        this.#under.delete(name);
      } else if (to === null) this.#handOn(flight);
      else if (stages.get(to) !== this.#options.next || this.#options.finished.has(to)) this.#passBy(flight, to);
    }
  }

  /** To the device of the next stage that is likely to be done first, again if need be. Where there is none, it waits for one. */
  #handOn(flight: Under, again = true): void {
    const { channel, over, next, finished } = this.#options;
    const takers = [...channel.stages()].flatMap(([device, stage]) =>
      stage === next && !finished.has(device) ? device : [],
    );
    const untried = takers.filter((device) => !flight.tried.has(device));
    const to = this.#routes.choose(this.#trusted(untried.length > 0 || !again ? untried : takers));
    if (to === null) return;
    const sent_ms = this.#now_ms();
    Object.assign(flight, { to, sent_ms });
    flight.tried.add(to);
    this.#routes.sent(to);
    const patient_ms = patience(this.#taken, LIMITS.taken_times, LIMITS.taken_least_ms);
    const late = new AbortController();
    const timer = channel.clock.setTimeout(
      () => late.abort(new Error(`not taken within ${patient_ms} ms`)),
      patient_ms,
    );
    const patient = AbortSignal.any([over, late.signal]);
    const sent = flight.message(to).then((message) => channel.send(to, message, patient));
    sent
      .finally(() => channel.clock.clearTimeout(timer))
      .then(
        () => this.#taken.add(this.#now_ms() - sent_ms),
        () => {
          if (!over.aborted && flight.to === to) this.#passBy(flight, to);
        },
      );
  }

  /** Those with a record, where there are any. Once in a round those without: so they get one, and a lie costs little. */
  #trusted(devices: readonly string[]): readonly string[] {
    const proven = this.#options.channel.proven();
    const newcomers = devices.filter((device) => !proven.has(device));
    if (newcomers.length === 0 || newcomers.length === devices.length) return devices;
    if (this.#to_newcomers >= LIMITS.to_newcomers) return devices.filter((device) => proven.has(device));
    this.#to_newcomers++;
    return newcomers;
  }

  /** The device has left, or does not take it: somebody else gets it. */
  #passBy(flight: Under, by: string): void {
    flight.to = null;
    // It counts as slow in this round, also where it failed at once.
    this.#routes.over(by, patience(this.#taken, LIMITS.taken_times, LIMITS.taken_least_ms));
    // One that had it already gets it at the next look: a device that is alone and cannot be reached would be asked without a pause.
    this.#handOn(flight, false);
  }
}

/** How long a device is waited for; whole milliseconds, because timers take no others. */
export const patience = (usual: UsualTime, times: number, least_ms: number): number =>
  Math.max(least_ms, Math.ceil(times * (usual.ms ?? 0)));

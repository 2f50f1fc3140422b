// How a lease is taken, renewed and given up, over any keeper that holds one value and forgets it when it is not renewed.
import { assert } from '../../errors.ts';
import { type Clock, fired, sleep, type Timer } from '../../protocol/clock.ts';
import { HubError } from '../errors.ts';
import { GIVE_UP_MS, type Held, LEASE_MS, type Lease, MAX_HOLDER_CHARACTERS, RENEW_MS } from './lease.ts';

/** What is kept, and the number of its last change. */
export interface KeptValue {
  readonly value: string;
  readonly revision: number;
}

/** Forgets the value LEASE_MS after its last change. Every call may throw HubError `no-answer`; whether it was heard is then not known. */
export interface LeaseKeeper {
  /** Writes the value where there is none. @returns its revision, or null where there is one */
  take(value: string): Promise<number | null>;
  /** Writes the value again, where the last change has this revision. @returns the new revision, or null where another change was made */
  renew(value: string, revision: number): Promise<number | null>;
  /** Forgets the value, where the last change has this revision. */
  free(revision: number): Promise<void>;
  read(): Promise<KeptValue | null>;
  /** Called when somebody says that it has freed it: it may be missed. @returns what ends it */
  onFree(listener: () => void): () => void;
}

/** So often a process that waits asks whether the lease is free; each a little differently, so that they do not all ask at once. */
const ASK_MS = 400;
/** A holder renews within a second, and is answered within another. */
const COURTESY_MS = 2 * RENEW_MS;
const SILENCE = `nobody has confirmed it for ${GIVE_UP_MS / 1000} seconds`;

/** @param random uniform in [0, 1): of each process its own */
export function leaseAt(keeper: LeaseKeeper, clock: Clock, random: () => number): Lease {
  return new KeptLease(keeper, clock, random);
}

class KeptLease implements Lease {
  readonly #keeper: LeaseKeeper;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(keeper: LeaseKeeper, clock: Clock, random: () => number) {
    this.#keeper = keeper;
    this.#clock = clock;
    this.#random = random;
  }

  async hold(holder: string, signal: AbortSignal): Promise<Held> {
    assert(holder.length <= MAX_HOLDER_CHARACTERS && !holder.includes('\n'), 'a holder is a short line');
    // The same process may try again after a while: what it wrote before is another's.
    const value = `${holder}\n${this.#random()}`;
    for (let silent = false; ; ) {
      signal.throwIfAborted();
      try {
        if (silent) await this.#letHolderCome(signal);
        const since_ms = this.#clock.elapsed_ms();
        const revision = await takeOrFind(this.#keeper, value);
        if (revision !== null) {
          const held = new Holding(this.#keeper, this.#clock, value, { revision, since_ms });
          if (!signal.aborted) return held;
          await held.release();
        }
        silent = false;
      } catch (error) {
        passUnlessNoAnswer(error);
        silent = true;
      }
      await this.#untilFree(signal);
    }
  }

  /** When the keeper was away, the lease has run out unrenewed: whoever held it has the time to renew it before others ask. */
  async #letHolderCome(signal: AbortSignal): Promise<void> {
    await this.#keeper.read();
    await Promise.race([sleep(this.#clock, COURTESY_MS), fired(signal)]);
    signal.throwIfAborted();
  }

  async holder(): Promise<string | null> {
    const kept = await this.#keeper.read();
    return kept && holderOf(kept);
  }

  /** Resolves when it is worth to ask again. */
  async #untilFree(signal: AbortSignal): Promise<void> {
    let timer: Timer;
    let deaf = (): void => {};
    const asked = new Promise<void>((resolve) => {
      timer = this.#clock.setTimeout(resolve, ASK_MS * (0.5 + this.#random()));
      deaf = this.#keeper.onFree(resolve);
    });
    await Promise.race([asked, fired(signal)]);
    this.#clock.clearTimeout(timer);
    deaf();
  }
}

const holderOf = ({ value }: KeptValue): string => value.slice(0, value.indexOf('\n'));

/** Takes it, or finds that it was taken by a call whose answer was lost; null where another has it. */
async function takeOrFind(keeper: LeaseKeeper, value: string): Promise<number | null> {
  const taken = await keeper.take(value);
  if (taken !== null) return taken;
  const kept = await keeper.read();
  return kept?.value === value ? kept.revision : null;
}

/** Renews it until it is released or lost. */
class Holding implements Held {
  readonly #keeper: LeaseKeeper;
  readonly #clock: Clock;
  readonly #value: string;
  readonly #lost = new AbortController();
  #revision: number;
  /** When the last request that was confirmed began. */
  #since_ms: number;
  #timer: Timer;
  #renewing: Promise<void> = Promise.resolve();
  #released = false;

  constructor(
    keeper: LeaseKeeper,
    clock: Clock,
    value: string,
    { revision, since_ms }: { readonly revision: number; readonly since_ms: number },
  ) {
    this.#keeper = keeper;
    this.#clock = clock;
    this.#value = value;
    this.#revision = revision;
    this.#since_ms = since_ms;
    this.#wait();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#clock.clearTimeout(this.#timer);
    await this.#renewing;
    if (this.#lost.signal.aborted) return;
    // Who does not hear it waits until it is forgotten.
    await this.#keeper.free(this.#revision).catch(passUnlessNoAnswer);
  }

  #wait(): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#renewing = this.#renew();
    }, RENEW_MS);
  }

  async #renew(): Promise<void> {
    const since_ms = this.#clock.elapsed_ms();
    // A process that stood still does not act on what it was before.
    if (this.#silentFor(since_ms)) return this.#lose(SILENCE);
    try {
      await this.#confirm(since_ms);
    } catch (error) {
      if (!(error instanceof HubError && error.code === 'no-answer')) return this.#lose((error as Error).message);
      if (this.#silentFor(this.#clock.elapsed_ms())) return this.#lose(SILENCE);
    }
    if (!this.#released && !this.#lost.signal.aborted) this.#wait();
  }

  #silentFor(now_ms: number): boolean {
    return now_ms - this.#since_ms >= GIVE_UP_MS;
  }

  async #confirm(since_ms: number): Promise<void> {
    const keeper = this.#keeper;
    let revision = await keeper.renew(this.#value, this.#revision);
    if (revision === null) {
      // It was forgotten, an answer was lost, or another has it.
      const kept = await keeper.read();
      if (kept === null) revision = await keeper.take(this.#value);
      else if (kept.value === this.#value) revision = kept.revision;
      else return this.#lose(`${holderOf(kept)} has it`);
    }
    if (revision === null) return; // somebody was faster: the next attempt tells who
    this.#revision = revision;
    this.#since_ms = since_ms;
  }

  #lose(why: string): void {
    if (this.#released) return;
    const reason = new HubError('lease-lost', `expected to hold the lease for ${LEASE_MS} ms more, but ${why}`);
    this.#lost.abort(reason);
  }
}

/** Throws every other error. */
function passUnlessNoAnswer(error: unknown): void {
  if (!(error instanceof HubError && error.code === 'no-answer')) throw error;
}

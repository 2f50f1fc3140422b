// A client that hands signed events to processes of the hub: one after the other, each until it is acknowledged; now and then to two at once.
import { CodedError } from '../../errors.ts';
import type { Receipt } from '../../ledger/receipt.ts';
import { signEvent } from '../../protocol/envelope.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { type Identity, identityFromSecret } from '../../protocol/identity.ts';
import { type Random, seededRandom } from '../../protocol/random.ts';
import { secretOf } from '../plan.ts';
import { Process, RIGHT_CLOCK } from '../virtual-time.ts';
import type { Machine, Site } from './machine.ts';
import type { WatchedLog } from './watched-log.ts';

const WAY_MS = 12;
/** It asks another process when it has no answer for so long. */
const NO_ANSWER_MS = 8000;
const AGAIN_MS = 250;
const TWICE_PERCENT = 15;
/** What a process that cannot take an event now may say; everything else is a fault. */
const PASSING = [
  'no-leader',
  'overloaded',
  'closing',
  'log-failed',
  'too-fast',
  'fenced',
  'write-failed',
  'journal-unreachable',
];

/** An event that was acknowledged. */
export interface Acknowledged {
  /** When it was handed in first, and when the answer came. */
  readonly from_ms: number;
  readonly at_ms: number;
}

export interface SenderOptions {
  readonly site: Site;
  readonly name: string;
  readonly machines: readonly Machine[];
  readonly log: WatchedLog;
  /** The machines that no client reaches. */
  readonly unreachable: ReadonlySet<string>;
  readonly every_ms: number;
  onAcknowledged(what: Acknowledged): void;
}

/** A question that a process has not answered yet. */
interface Open {
  readonly since_ms: number;
  readonly at: string;
  readonly isAlive: () => boolean;
}

export class Sender {
  acknowledged = 0;
  /** What it was told instead of a receipt, how often. */
  readonly told = new Map<string, number>();
  readonly open = new Set<Open>();
  /** Whether everything that it has handed in was acknowledged, and it hands in nothing more. */
  done = false;
  readonly #options: SenderOptions;
  readonly #identity: Identity;
  readonly #random: Random;
  readonly #process: Process;
  #stopping = false;

  constructor(options: SenderOptions) {
    this.#options = options;
    const { seed, time } = options.site;
    this.#identity = identityFromSecret(secretOf(seed, options.name));
    this.#random = seededRandom('sender to a cluster', seed, options.name);
    this.#process = new Process(time, RIGHT_CLOCK);
    this.#live().catch((error) =>
      options.site.fail(`${options.name}: ${String(error instanceof Error ? error.stack : error)}`),
    );
  }

  /** It hands in nothing new. */
  stop(): void {
    this.#stopping = true;
  }

  async #live(): Promise<void> {
    for (let change = 0; !this.#stopping; change++) {
      await this.#process.wait(this.#random.below(2 * this.#options.every_ms));
      const event = await this.#event(change);
      const from_ms = this.#options.site.time.now_ms;
      while (!(await this.#tries(event, from_ms))) await this.#process.wait(AGAIN_MS + this.#random.below(AGAIN_MS));
      this.acknowledged++;
    }
    this.done = true;
  }

  #event(change: number): Promise<Uint8Array> {
    const hub = this.#options.site.identity.id;
    const address = `0x${change.toString(16).padStart(40, '0')}`;
    return signEvent(this.#identity, { type: 'account.address', version: 1, hub, change, chain: 'evm', address });
  }

  /** Hands an event in at a drawn process, or at two. Resolves to whether it was acknowledged. */
  async #tries(event: Uint8Array, from_ms: number): Promise<boolean> {
    const { machines } = this.#options;
    const fronts = machines.filter(({ roles }) => roles.has('front'));
    const count = this.#random.below(100) < TWICE_PERCENT ? 2 : 1;
    const asked = Array.from({ length: count }, () => fronts[this.#random.below(fronts.length)]);
    const answers = await Promise.all(asked.map((machine) => this.#ask(machine, event, from_ms)));
    return answers.includes(true);
  }

  async #ask(machine: Machine, event: Uint8Array, from_ms: number): Promise<boolean> {
    const { log, site, onAcknowledged } = this.#options;
    try {
      const { receipt } = await this.#request(machine, event);
      log.acknowledged(event, receipt);
      onAcknowledged({ from_ms, at_ms: site.time.now_ms });
      return true;
    } catch (error) {
      const code = error instanceof CodedError ? error.code : 'no answer';
      if (!(error instanceof CodedError) && !(error instanceof NoAnswer)) throw error;
      this.told.set(code, (this.told.get(code) ?? 0) + 1);
      // A process that has not heard of the event before refuses it, and takes it when it has.
      if (error instanceof CodedError && !PASSING.includes(code) && code !== 'refused') {
        site.fail(`${machine.name} answers an event with ${code}: ${error.message}`);
      }
      if (code === 'refused' && log.has(sha256Hex(event))) {
        site.fail(`${machine.name} refuses an event that is in the log: ${(error as CodedError).message}`);
      }
      return false;
    }
  }

  #request(machine: Machine, event: Uint8Array): Promise<{ readonly receipt: Receipt }> {
    const { site, unreachable } = this.#options;
    const { time } = site;
    const way_ms = (): number => 1 + this.#random.below(WAY_MS);
    return new Promise((resolve, reject) => {
      this.#process.after(NO_ANSWER_MS, () => reject(new NoAnswer()));
      time.after(way_ms(), () => {
        const { up } = machine;
        if (unreachable.has(machine.name)) return;
        if (!up) {
          this.#process.after(way_ms(), () => reject(new NoAnswer()));
          return;
        }
        const { process, core } = up;
        const open: Open = {
          since_ms: time.now_ms,
          at: machine.name,
          isAlive: () => machine.up === up && process.alive && !process.stopped,
        };
        const answer = (give: () => void): void => {
          this.open.delete(open);
          if (process.alive && !unreachable.has(machine.name)) time.after(way_ms(), give);
        };
        this.open.add(open);
        process.after(0, () => {
          core.services.submit(event, null).then(
            (accepted) => answer(() => resolve(accepted)),
            (error) => answer(() => reject(error)),
          );
        });
      });
    });
  }
}

class NoAnswer extends Error {}

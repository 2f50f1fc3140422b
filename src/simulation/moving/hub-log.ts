// A hub with its log: what stands in it, core and auditor that follow it, a tree with signed heads, and what happens there by itself.
import type { LoggedEvent } from '../../core/events.ts';
import type { ForeignEvent } from '../../core/moving/foreign-event.ts';
import type { Refusal } from '../../core/refusal.ts';
import type { NetworkState } from '../../core/state.ts';
import type { Cast } from '../../core/testing/cast.ts';
import { drawEvents } from '../../core/testing/drawn-events.ts';
import { type ForeignLog, foreignLog } from '../../core/testing/foreign-log.ts';
import { utf8 } from '../../protocol/hash.ts';
import type { DrawingIdentity } from '../../protocol/identity.ts';
import { AgreeingLog } from '../agreeing-log.ts';
import type { Books } from '../auditor/books.ts';
import type { AcrossLogs } from './across-logs.ts';

/** What does not hold. */
export class Violation extends Error {}

export class HubLog {
  readonly key: DrawingIdentity;
  /** The next event of those who take part here. */
  readonly next: () => LoggedEvent;
  readonly #log: AgreeingLog;
  readonly #tree: ForeignLog;
  readonly #across: AcrossLogs;

  constructor(key: DrawingIdentity, cast: Cast, seed: number, across: AcrossLogs) {
    this.key = key;
    this.#log = new AgreeingLog(key.id);
    this.#tree = foreignLog(key);
    this.#across = across;
    this.next = drawEvents({ ...cast, hub: key.id, drawer: key }, this.#log.state, `${seed} at ${key.id}`);
  }

  get id(): string {
    return this.key.id;
  }

  get state(): NetworkState {
    return this.#log.state;
  }

  get books(): Books {
    return this.#log.auditor.books;
  }

  /** Whether a run goes on here, or would if its owner wanted it to. */
  has(run: string): boolean {
    return this.state.runs.get(run)?.moved === null;
  }

  /**
   * Takes an event or refuses it. `bytes`: as it is signed, where another log may ask for it.
   * Throws Violation.
   */
  say(event: LoggedEvent, bytes: Uint8Array = utf8(event.id)): Refusal | null {
    this.#across.before(this, event);
    const { refusal, wrong } = this.#log.say(event);
    if (wrong) throw new Violation(wrong);
    if (refusal) return refusal;
    this.#tree.entries.push(bytes);
    const broken = this.#across.after(this, event);
    if (broken) throw new Violation(`after ${event.body.type}: ${broken}`);
    return null;
  }

  /** The last entry, with its proof. */
  async proveLast(): Promise<ForeignEvent> {
    return this.#tree.prove(this.#tree.entries.length - 1);
  }
}

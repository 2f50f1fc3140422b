// The result of a history with a cartel: the length of its rounds, the pay, and the refused work.
import type { LoggedEvent } from '../core/events.ts';
import type { Ring } from './cartel-conduct.ts';

export interface Played {
  /** Merged rounds, and the virtual time that one took: from the first opening to the last merge. */
  readonly rounds: number;
  readonly round_ms: number;
  readonly appealed_rounds: number;
  /** The shares that an honest worker holds at the end, and those that it has lost, on average. */
  readonly honest_shares: number;
  readonly honest_forfeited: number;
  readonly honest_works: number;
  readonly honest_refused: number;
  /** The shares that all keys of lying workers hold at the end, and the work that they submitted. */
  readonly lying_shares: number;
  readonly lies: number;
  readonly lies_accepted: number;
  /** Honest work of liars. */
  readonly truths_accepted: number;
  readonly events: number;
}

export class CartelWatch {
  readonly #ring: Ring;
  #first_ms = 0;
  #last_ms = 0;
  #events = 0;
  /** Work of the open round, by its worker. */
  #open = new Map<string, 'honest' | 'lie' | 'truth'>();
  #appealed = new Set<number>();
  readonly #counts = { honest: 0, honest_refused: 0, lie: 0, lies_accepted: 0, truth: 0, truths_accepted: 0 };

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  saw({ author, body }: LoggedEvent, now_ms: number): void {
    this.#events++;
    const { workers, lies } = this.#ring;
    if (body.type === 'round.opened') {
      this.#first_ms ||= now_ms;
      this.#open.clear();
    }
    if (body.type === 'work.submitted') {
      const kind = workers.has(author) ? (lies.has(body.work) ? 'lie' : 'truth') : 'honest';
      this.#open.set(author, kind);
      this.#counts[kind]++;
    }
    if (body.type === 'verdict.given' && body.appeal) this.#appealed.add(this.#ring.round);
    if (body.type !== 'round.merged') return;
    this.#last_ms = now_ms;
    const run = this.#ring.run();
    for (const [worker, kind] of this.#open) {
      const accepted = run.peers.get(worker)!.merged_round === body.round;
      if (kind === 'honest' && !accepted) this.#counts.honest_refused++;
      if (kind === 'lie' && accepted) this.#counts.lies_accepted++;
      if (kind === 'truth' && accepted) this.#counts.truths_accepted++;
    }
  }

  result(): Played {
    const run = this.#ring.run();
    const { workers } = this.#ring;
    const honest = this.#ring.world.peers
      .filter(({ plan, identity }) => plan.role === 'worker' && !workers.has(identity.id))
      .map(({ identity }) => identity.id);
    const sum = (of: Iterable<string>, value: (id: string) => number): number =>
      [...of].reduce((all, id) => all + value(id), 0);
    const shares = (id: string): number => run.shares.get(id) ?? 0;
    const { honest: honest_works, lie, truth: _, ...counts } = this.#counts;
    return {
      rounds: run.round,
      round_ms: (this.#last_ms - this.#first_ms) / run.round,
      appealed_rounds: this.#appealed.size,
      honest_shares: sum(honest, shares) / honest.length,
      honest_forfeited: sum(honest, (id) => run.peers.get(id)?.forfeited_shares ?? 0) / honest.length,
      honest_works,
      lying_shares: sum(workers, shares),
      lies: lie,
      ...counts,
      events: this.#events,
    };
  }
}

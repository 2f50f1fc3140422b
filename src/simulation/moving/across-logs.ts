// What must hold over the logs of several hubs together: a run is in one log at a time, brings all that it left with, and nothing of it counts twice.
import { type EventBody, kindOfEvent, type LoggedEvent } from '../../core/events.ts';
import type { NetworkState, RunState } from '../../core/state.ts';
import type { Books, RunBook } from '../auditor/books.ts';
import { plain, sorted } from '../auditor/compare.ts';
import { promiseOf } from '../auditor/who-is-paid.ts';

/** A hub's log, as far as it is compared with the others. */
interface Log {
  readonly state: NetworkState;
  readonly books: Books;
  /** Whether a run is here. */
  has(run: string): boolean;
}

/** What all logs together have said of a run. */
interface Known {
  /** How often it has left a log, and what it took along the last time. */
  moves: number;
  left: readonly string[];
  /** What its merged rounds have promised, and what was settled of it. */
  promised: number;
  settled: number;
}

const sum = (values: Iterable<number>): number => [...values].reduce((all, value) => all + value, 0);

export class AcrossLogs {
  readonly hubs: Log[] = [];
  /** Words of runs that were taken, and rounds that were merged: each once, whatever the log. */
  readonly #taken = new Set<string>();
  readonly #known = new Map<string, Known>();
  /** The promise of the round that an event would merge, and what a run would take along that it lets go. */
  #promise = 0;
  #leaves: readonly string[] = [];
  rounds = 0;
  arrivals = 0;

  /** Call it before an event is said. */
  before({ books }: Log, { body }: LoggedEvent): void {
    const run = 'run' in body ? books.runs.get(body.run) : undefined;
    if (!run) return;
    if (body.type === 'round.merged') this.#promise = Number(promiseOf(run.rules.emission, run.round));
    if (body.type === 'run.moved') this.#leaves = carried(run, (id) => books.devices.get(id)?.revoked === true);
  }

  /** Call it when an event was taken. Returns what does not hold; null: all does. */
  after(hub: Log, event: LoggedEvent): string | null {
    const { author, body } = event;
    const id = body.type === 'run.created' ? event.id : 'run' in body ? body.run : null;
    if (id === null) return null;
    if (!this.#known.has(id)) this.#known.set(id, { moves: 0, left: [], promised: 0, settled: 0 });
    return this.#twice(author, body) ?? this.#note(hub, id, body) ?? this.#inOneLog(id) ?? this.#sums(id);
  }

  #twice(author: string, body: EventBody): string | null {
    // A hub states a finished run's shares again when it has come back.
    if (!kindOfEvent(body.type).in_run || body.type === 'shares.stated') return null;
    const words = [plain([author, body])];
    if (body.type === 'round.merged' && body.bundle !== null) words.push(`round ${body.run} ${body.round}`);
    for (const word of words) {
      if (this.#taken.has(word)) return `a second time in all logs: ${word}`;
      this.#taken.add(word);
    }
    return null;
  }

  #note(hub: Log, id: string, body: EventBody): string | null {
    const known = this.#known.get(id)!;
    if (body.type === 'round.merged' && body.bundle !== null) {
      known.promised += this.#promise;
      this.rounds++;
    }
    if (body.type === 'payout.settled') known.settled += body.total;
    if (body.type === 'run.moved') Object.assign(known, { moves: known.moves + 1, left: this.#leaves });
    if (body.type !== 'run.part' || hub.state.arriving.has(id)) return null;
    this.arrivals++;
    const book = hub.books.runs.get(id)!;
    if (book.moves !== known.moves) return `it comes by its departure ${book.moves}, it has left ${known.moves} times`;
    const comes = carried(book, () => false);
    const other = comes.findIndex((what, i) => what !== known.left[i]);
    return other === -1 ? null : `it left with ${known.left[other]}, and comes with ${comes[other]}`;
  }

  #inOneLog(id: string): string | null {
    const logs = this.hubs.filter((hub) => hub.has(id) || hub.state.arriving.has(id));
    return logs.length < 2 ? null : `run ${id.slice(0, 8)} is in ${logs.length} logs at a time`;
  }

  #sums(id: string): string | null {
    const run = this.hubs.find((hub) => hub.has(id))?.state.runs.get(id);
    return run ? wrongSums(run, this.#known.get(id)!) : null;
  }
}

function wrongSums({ emitted_shares, shares, unearned_shares, settled }: RunState, known: Known): string | null {
  const issued = sum(shares.values()) + unearned_shares;
  if (emitted_shares !== known.promised || issued !== known.promised)
    return `${issued} shares are issued, rounds in all logs have promised ${known.promised}`;
  const paid = sum(settled.values());
  if (paid !== known.settled) return `${paid} shares count as settled, in all logs ${known.settled} were`;
  return null;
}

/** All of a run's book that later rounds, pay and words build on. Of a revoked device no log but the first knows, so it has no record elsewhere. */
function carried(run: RunBook, isRevoked: (device: string) => boolean): string[] {
  const { rules, pending, proposals, margins, published, round, attempt, eligible, model, last } = run;
  const { shares, unearned, promised, amounts, merged_amount, earnings, locks, stake_changes, settled } = run;
  const { settlements, bonds, whole_rounds, step, rest, stated_rounds, stated, royalty } = run;
  const peers = [...run.peers.values()].map(({ present, openings, valid, ...peer }) => {
    return { ...peer, valid: isRevoked(peer.id) ? 0 : valid };
  });
  const amounts_of = [margins, shares, amounts, earnings, stake_changes, settled].map((map) => sorted<unknown>(map));
  return [
    ...[rules, pending, proposals, published, round, attempt, eligible, model, last, unearned, promised],
    ...[merged_amount, locks, settlements, whole_rounds, step, rest, stated_rounds, stated, royalty, peers],
    ...[sorted(bonds).map(([judge, row]) => [judge, sorted(row)]), ...amounts_of],
  ].map(plain);
}

// The runs that came to a log from another hub's, and those that went: gathered while the log is replayed.
import type { RunArrived } from '../core/events/run-arrived.ts';
import type { LoggedEvent } from '../core/events.ts';
import type { NetworkState } from '../core/state.ts';
import { arrivedWith } from './run-beginning.ts';

/** A run that another log has let go to this one. */
export interface Arrived {
  readonly run: string;
  readonly name: string;
  /** The index of its `run.arrived`, and who signed it. */
  readonly index: number;
  readonly author: string;
  readonly body: RunArrived;
  /** The rounds that were merged before. */
  readonly merged_rounds: number;
}

/** A run that goes on in another log. */
export interface Gone {
  readonly run: string;
  readonly name: string;
  /** Where it goes on, and where that hub is said to answer. */
  readonly hub: string;
  readonly url: string;
  /** The index of its `run.moved`. */
  readonly index: number;
  readonly merged_rounds: number;
}

export class MoveWatch {
  /** Runs whose parts are not all here. */
  readonly #coming = new Map<string, Pick<Arrived, 'index' | 'author' | 'body'>>();
  readonly #came: Arrived[] = [];

  /** Those that are here whole, in the order of the log. */
  get came(): readonly Arrived[] {
    return this.#came;
  }

  /** Takes an event and the state after it. */
  after(event: LoggedEvent, index: number, state: NetworkState): void {
    const { author, body } = event;
    if (body.type === 'run.arrived') this.#coming.set(body.run, { index, author, body });
    const run = arrivedWith(event, state);
    const coming = run && this.#coming.get(run.id);
    if (!coming) return;
    this.#coming.delete(run.id);
    this.#came.push({ run: run.id, name: run.spec.name, ...coming, merged_rounds: run.round });
  }
}

/** The runs of a log that have gone to another one and have not come back. */
export function goneFrom({ runs }: NetworkState): Gone[] {
  return [...runs.values()].flatMap(({ id, spec, moved, round }) =>
    moved
      ? [{ run: id, name: spec.name, hub: moved.hub, url: moved.url, index: moved.index, merged_rounds: round }]
      : [],
  );
}

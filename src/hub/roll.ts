// Indexes connections by run, key and role, so that the cost of an event does not grow with all other connections.
import type { PeerRole } from '../core/events/peer-joined.ts';
import { assert } from '../errors.ts';
import { openTally } from './tally.ts';

/** The identity of a connection, once it has said hello. */
export interface OnRoll {
  readonly role: PeerRole | 'observer' | null;
  readonly peer: string | null;
  readonly run: string | null;
}

export interface Roll<C extends OnRoll> {
  /** All connections, including those that have not said hello yet. */
  readonly all: ReadonlySet<C>;
  add(connection: C): void;
  /** Files a connection under its identity, which must not change afterwards. */
  enter(connection: C): void;
  remove(connection: C): void;
  /** The connections of a run in a role. */
  inRun(run: string, role: PeerRole): Iterable<C>;
  /** The connections of a key in a run: usually one. */
  withKey(run: string, peer: string): Iterable<C>;
  hasKey(run: string, peer: string): boolean;
  observers(): Iterable<C>;
  /** The number of connections that have not said hello yet. */
  unnamed(): number;
  /** The number of connections by role; `unnamed` are those before hello. */
  roles(): ReadonlyMap<string, number>;
}

export function openRoll<C extends OnRoll>(): Roll<C> {
  const all = new Set<C>();
  const shelves = new Map<string, Set<C>>();
  const counts = openTally();
  const shelvesOf = ({ role, peer, run }: C): string[] =>
    role === null ? [] : role === 'observer' ? [role] : [`${role} ${run}`, `${run}:${peer}`];
  const on = (shelf: string): Iterable<C> => shelves.get(shelf) ?? [];
  return {
    all,
    add(connection) {
      all.add(connection);
      counts.add('unnamed', 1);
    },
    enter(connection) {
      assert(
        all.has(connection) && connection.role !== null,
        'a connection enters after it was added and has stated its role',
      );
      counts.add('unnamed', -1);
      counts.add(connection.role!, 1);
      for (const name of shelvesOf(connection)) {
        const shelf = shelves.get(name) ?? new Set();
        shelves.set(name, shelf.add(connection));
      }
    },
    remove(connection) {
      if (!all.delete(connection)) return;
      counts.add(connection.role ?? 'unnamed', -1);
      for (const name of shelvesOf(connection)) {
        const shelf = shelves.get(name)!;
        shelf.delete(connection);
        if (shelf.size === 0) shelves.delete(name);
      }
    },
    inRun: (run, role) => on(`${role} ${run}`),
    withKey: (run, peer) => on(`${run}:${peer}`),
    hasKey: (run, peer) => shelves.has(`${run}:${peer}`),
    observers: () => on('observer'),
    unnamed: () => counts.of('unnamed'),
    roles: () => counts.all,
  };
}

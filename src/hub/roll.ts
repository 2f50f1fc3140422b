// Who is connected, found by run, by key and by role: what an event costs must not grow with everybody else who is here.
import type { PeerRole } from '../core/events/peer-joined.ts';
import { assert } from '../errors.ts';
import { openTally } from './tally.ts';

/** What a connection says that it is, once it has. */
export interface OnRoll {
  readonly role: PeerRole | 'observer' | null;
  readonly peer: string | null;
  readonly run: string | null;
}

export interface Roll<C extends OnRoll> {
  /** Everybody, also who has not said yet what it is. */
  readonly all: ReadonlySet<C>;
  add(connection: C): void;
  /** Files a connection under what it says that it is. It must not change afterwards. */
  enter(connection: C): void;
  remove(connection: C): void;
  /** Whoever takes part in a run in a role. */
  inRun(run: string, role: PeerRole): Iterable<C>;
  /** Whoever has come to a run with a key: mostly one. */
  withKey(run: string, peer: string): Iterable<C>;
  hasKey(run: string, peer: string): boolean;
  observers(): Iterable<C>;
  /** How many are what; `unnamed` are those that have not said. */
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
      assert(all.has(connection) && connection.role !== null, 'who enters has come, and has said what it is');
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
    roles: () => counts.all,
  };
}

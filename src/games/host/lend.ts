// What a device lends to a game that runs elsewhere: each question is read, bounded, and answered in the device's name.
import { firstIssue } from '../../errors.ts';
import type { CompiledGraph, Program } from '../../tensor/runtime.ts';
import { GameError } from '../errors.ts';
import type { Device } from '../game.ts';
import { ASKS, type Asked } from './wire.ts';

/** What a game may keep on a device, and hold in its runtime: its owner's disk and memory are not the game's. */
const LIMITS = {
  kept_names: 16,
  kept_bytes: 1 << 26,
  programs: 16,
} as const;

/** Apart from what the peer itself keeps in the same drawer. */
const keptAs = (name: string): string => `game-${name}`;

export interface Lent {
  /** Throws GameError game-nonsense for a question that is none, and what the device throws. */
  answer(what: string, values: readonly unknown[]): Promise<unknown>;
  /** Frees what the game has loaded. */
  end(): void;
}

/** @param lends_compute whether the game may load graphs into the device's runtime */
export function lendTo(device: Device, lends_compute: boolean): Lent {
  const programs = new Map<number, Program>();
  const names = new Set<string>();
  let loaded = 0;
  const nonsense = (why: string): GameError => new GameError('game-nonsense', `asked its device for nonsense: ${why}`);

  function read<K extends Asked>(what: K, values: readonly unknown[]) {
    const parsed = ASKS[what].safeParse([...values]);
    if (parsed.success) return parsed.data as Parameters<(typeof answers)[K]>[0];
    throw nonsense(`${what}: ${firstIssue(parsed.error)}`);
  }

  const answers = {
    progress: async ([report]: [{ steps: number; loss: number; tokens: number }]) => device.progress(report),
    rested: async () => device.rested?.(),
    earlier: (): never => {
      throw nonsense('earlier: it is asked while work is judged');
    },
    fetchBlob: async ([hash]: [string]) => device.fetchBlob(hash),
    get: async ([name]: [string]) => device.drawer.get(keptAs(name)),
    async put([name, bytes]: [string, Uint8Array]) {
      names.add(name);
      if (names.size > LIMITS.kept_names || bytes.length > LIMITS.kept_bytes) {
        throw nonsense(`put: at most ${LIMITS.kept_names} names of ${LIMITS.kept_bytes} bytes each`);
      }
      return device.drawer.put(keptAs(name), bytes);
    },
    async delete([name]: [string]) {
      names.delete(name);
      return device.drawer.delete(keptAs(name));
    },
    async run([program, input, limits]: [string, unknown, object?]) {
      if (!device.run) throw nonsense('run: this device runs no programs');
      return device.run(program, input, limits);
    },
    async load([graph]: [object]) {
      if (!lends_compute) throw nonsense('load: this device lends it no compute');
      if (programs.size >= LIMITS.programs) throw nonsense(`load: at most ${LIMITS.programs} programs at once`);
      programs.set(++loaded, await device.runtime.load(graph as CompiledGraph));
      return loaded;
    },
    async program([number, method, value]: [number, keyof Program, unknown]) {
      const program = programs.get(number);
      if (!program) throw nonsense(`program ${number}: it has none of that number`);
      if (method === 'close') programs.delete(number);
      return (program[method] as (given: unknown) => Promise<unknown>)(value);
    },
  };

  return {
    async answer(what, values) {
      if (!Object.hasOwn(ASKS, what)) throw nonsense(what);
      const asked = what as Asked;
      return (answers[asked] as (given: unknown) => Promise<unknown>)(read(asked, values));
    },
    end() {
      for (const program of programs.values()) program.close().catch(() => {}); // its runtime may be closed already
      programs.clear();
    },
  };
}

// What a device lends to a game that runs elsewhere: each question is read, bounded, and answered in the device's name.
import { firstIssue } from '../../errors.ts';
import type { CompiledGraph, Program, TensorMap } from '../../tensor/runtime.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { GameError } from '../errors.ts';
import type { Device, Told } from '../game.ts';
import { ASKS, type Asked } from './wire.ts';

/** What a game may keep on a device, and hold in its runtime: its owner's disk and memory are not the game's. */
const LIMITS = {
  kept_names: 16,
  kept_bytes: 1 << 26,
  programs: 16,
  graph_bytes: 1 << 26,
  /** Of all states of its programs: 1 GiB as float32, which WASM holds twice. */
  state_values: 1 << 28,
  /** One run of a graph: what takes longer is cut into several, so that its owner gets the device back between them. */
  compute_ms: 60_000,
} as const;

/** Apart from what the peer itself keeps in the same drawer. */
const keptAs = (name: string): string => `game-${name}`;

export interface Lent {
  /** Throws GameError game-nonsense for a question that is none, and what the device throws. */
  answer(what: string, values: readonly unknown[]): Promise<unknown>;
  /** Frees what the game has loaded. */
  end(): void;
}

/** Lends a device to one game, with which it is used up where a graph takes too long. */
export function lendTo(device: Device, compute_ms: number = LIMITS.compute_ms): Lent {
  const programs = new Map<number, { readonly program: Program; readonly values: number }>();
  const names = new Set<string>();
  let loaded = 0;
  const nonsense = (why: string): GameError => new GameError('game-nonsense', `asked its device for nonsense: ${why}`);

  function read<K extends Asked>(what: K, values: readonly unknown[]) {
    const parsed = ASKS[what].safeParse([...values]);
    if (parsed.success) return parsed.data as Parameters<(typeof answers)[K]>[0];
    throw nonsense(`${what}: ${firstIssue(parsed.error)}`);
  }

  function programOf(number: number): Program {
    const found = programs.get(number);
    if (found) return found.program;
    throw nonsense(`program ${number}: it has none of that number`);
  }

  /** A graph that is under way cannot be stopped, only the runtime ended. */
  async function inTime<T>(computed: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(
          new GameError(
            'game-late',
            `a graph of the game has taken more than ${compute_ms / 1000} s; its runtime is ended`,
          ),
        );
        void device.runtime.end?.();
      }, compute_ms);
    });
    return Promise.race([computed, late]).finally(() => clearTimeout(timer));
  }

  const answers = {
    progress: async ([report]: [Told]) => device.progress(report),
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
    async load([graph]: [CompiledGraph]) {
      const values = graph.states.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
      const held = [...programs.values()].reduce((sum, program) => sum + program.values, values);
      if (programs.size >= LIMITS.programs || held > LIMITS.state_values || graph.onnx.length > LIMITS.graph_bytes) {
        const { programs: most, graph_bytes, state_values } = LIMITS;
        throw nonsense(
          `load: at most ${most} programs of ${graph_bytes} bytes each, with ${state_values} values in states`,
        );
      }
      const number = ++loaded;
      programs.set(number, { values, program: await inTime(device.runtime.load(graph)) });
      return number;
    },
    writeState: async ([number, values]: [number, Map<string, Float32Array>]) => programOf(number).writeState(values),
    readState: async ([number, names]: [number, string[]]) => programOf(number).readState(names),
    runGraph: async ([number, inputs]: [number, TensorMap]) => inTime(programOf(number).run(inputs)),
    async close([number]: [number]) {
      const program = programOf(number);
      programs.delete(number);
      return program.close();
    },
  };

  return {
    async answer(what, values) {
      if (!Object.hasOwn(ASKS, what)) throw nonsense(what);
      const asked = what as Asked;
      return (answers[asked] as (given: unknown) => Promise<unknown>)(read(asked, values));
    },
    end() {
      for (const { program } of programs.values()) program.close().catch(() => {}); // its runtime may be closed already
      programs.clear();
    },
  };
}

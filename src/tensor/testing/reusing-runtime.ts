// A runtime for tests that lends its loaded programs again: to load a graph takes longer than what most tests compute with it.
import { createHash } from 'node:crypto';
import { TensorError } from '../errors.ts';
import type { CompiledGraph, Program, Runtime } from '../runtime.ts';
import { sizeOf } from '../shape.ts';

export interface ReusingRuntime extends Runtime {
  loadSharing: NonNullable<Runtime['loadSharing']>;
  /**
   * Closes all programs that are lent, for their holders. The next graphs of the same bytes get them, with states that are zero as those of
   * a new one. Programs of which a call has failed are not lent again.
   */
  reclaim(): void;
}

/** A loaded program, and who has it: nobody where `holder` is null. */
interface Loaded {
  readonly key: string;
  readonly program: Program;
  holder: Holder | null;
}
interface Holder {
  closed: boolean;
}

/** Programs over the same states. */
interface Group {
  readonly owner: Loaded;
  readonly states: ReadonlySet<string>;
  readonly sharing: Loaded[];
  spoilt: boolean;
}

/** Over a runtime whose programs share states; closes it when it is closed. */
export function reusingRuntime(inner: Runtime): ReusingRuntime {
  const groups: Group[] = [];
  const groupOf = new WeakMap<Program, Group>();
  const lend = (group: Group, loaded: Loaded): Program => {
    const holder = { closed: false };
    loaded.holder = holder;
    const call = async <T>(what: (program: Program) => Promise<T>): Promise<T> => {
      if (holder.closed) throw new TensorError('closed', 'this program is closed');
      try {
        return await what(loaded.program);
      } catch (error) {
        group.spoilt = true;
        throw error;
      }
    };
    const lent: Program = {
      writeState: (values) => call((program) => program.writeState(values)),
      readState: (names) => call((program) => program.readState(names)),
      run: (inputs) => call((program) => program.run(inputs)),
      close: async () => {
        holder.closed = true;
      },
    };
    groupOf.set(lent, group);
    return lent;
  };
  return {
    class: inner.class,
    async load(graph) {
      const key = keyOf(graph);
      let group = groups.find(({ owner, spoilt }) => !spoilt && owner.key === key && owner.holder === null);
      if (group) {
        const lent = lend(group, group.owner);
        await group.owner.program.writeState(zeros(graph));
        return lent;
      }
      const owner: Loaded = { key, program: await inner.load(graph), holder: null };
      group = { owner, states: new Set(graph.states.map(({ name }) => name)), sharing: [], spoilt: false };
      groups.push(group);
      return lend(group, owner);
    },
    async loadSharing(graph, owner) {
      const group = groupOf.get(owner);
      if (!group) throw new TensorError('bad-argument', 'loadSharing: the owner is a program of another runtime');
      const key = keyOf(graph);
      const known = group.sharing.find((loaded) => loaded.key === key && loaded.holder === null);
      if (known) {
        const lent = lend(group, known);
        await known.program.writeState(zeros(graph, group.states));
        return lent;
      }
      const loaded: Loaded = { key, program: await inner.loadSharing!(graph, group.owner.program), holder: null };
      group.sharing.push(loaded);
      return lend(group, loaded);
    },
    reclaim() {
      for (const { owner, sharing } of groups) {
        for (const loaded of [owner, ...sharing]) {
          if (loaded.holder) loaded.holder.closed = true;
          loaded.holder = null;
        }
      }
    },
    close: () => inner.close(),
  };
}

function keyOf({ onnx, inputs, outputs, states, beside }: CompiledGraph): string {
  // A graph whose weights lie beside it is another one with other weights.
  if (beside) throw new TensorError('unavailable', 'graphs with weights beside them are not lent again');
  const names = JSON.stringify([inputs, outputs, states]);
  return createHash('sha256').update(onnx).update(names).digest('hex');
}

/** Zeros for the states of a graph but those that others hold. */
function zeros({ states }: CompiledGraph, others: ReadonlySet<string> = new Set()): Map<string, Float32Array> {
  const own = states.filter(({ name }) => !others.has(name));
  return new Map(own.map(({ name, shape }) => [name, new Float32Array(sizeOf(shape))]));
}

// Which states of a graph can be overwritten by their next value while the graph runs.
import type { GraphData, GraphNode } from './ir.ts';

/** Operators whose output ONNX Runtime may place in their first input's memory: reading the output reads that input. */
const VIEWS: ReadonlySet<string> = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Identity']);

/** Operators that read each element before they write the one in its place; both operands must have the state's shape. */
const ELEMENTWISE: ReadonlySet<string> = new Set(['Add', 'Sub', 'Mul', 'Div']);

/** Operators that first copy this input to their output, element by element, and then never read it again. */
const COPIED_FIRST: Readonly<Record<string, number>> = { Gemm: 2, ScatterElements: 0 };

/** Whether a node computes the same when its output overwrites the value with these names: a state and its views. */
function mayOverwrite(node: GraphNode, names: ReadonlySet<string>): boolean {
  if (ELEMENTWISE.has(node.op)) return true;
  return node.inputs.every((input, i) => !names.has(input) || i === COPIED_FIRST[node.op]);
}

/**
 * The names of the states that are safe to update in place: the node that makes the new value depends on every node that reads
 * the old value, so those have finished, whatever order a runtime chooses. All states of a training step qualify, because
 * the clipped update waits for the norm of every gradient. In a graph that uses the old value beside its update, the state
 * needs a second buffer.
 */
export function safeInPlace(
  graph: GraphData,
  states: readonly { readonly name: string; readonly next: string | null }[],
): Set<string> {
  const makers = new Map<string, number>();
  const readers = new Map<string, number[]>();
  graph.nodes.forEach((node, index) => {
    for (const output of node.outputs) makers.set(output, index);
    for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), index]);
  });
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const stateNames = new Set(states.map((state) => state.name));

  /** All nodes that read the value or a view of it, and their names; null where it leaves the graph, so that it may be read at any time. */
  function readersOf(value: string): { found: Set<number>; names: Set<string> } | null {
    const found = new Set<number>();
    const names = new Set<string>();
    const waiting = [value];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (outputs.has(name)) return null;
      names.add(name);
      for (const index of readers.get(name) ?? []) {
        found.add(index);
        const node = graph.nodes[index];
        if (VIEWS.has(node.op) && node.inputs[0] === name) waiting.push(node.outputs[0]);
      }
    }
    return { found, names };
  }

  function ancestorsOf(node: GraphNode): Set<number> {
    const found = new Set<number>();
    const waiting = [...node.inputs];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const index = makers.get(name);
      if (index === undefined || found.has(index)) continue;
      found.add(index);
      waiting.push(...graph.nodes[index].inputs);
    }
    return found;
  }

  const safe = new Set<string>();
  for (const { name, next } of states) {
    const maker = next === null ? undefined : makers.get(next);
    if (maker === undefined || !stateNames.has(name)) continue;
    const node = graph.nodes[maker];
    const reading = readersOf(name);
    if (reading === null) continue;
    if (!mayOverwrite(node, reading.names)) continue;
    const before = ancestorsOf(node);
    if ([...reading.found].every((index) => index === maker || before.has(index))) safe.add(name);
  }
  return safe;
}

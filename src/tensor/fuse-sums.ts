// Fuses additions: Add(x, Gemm(a, b)) becomes Gemm(a, b, x), and a sum with a scattered update becomes one scatter.
import type { GraphData, GraphNode } from './ir.ts';

/**
 * The same graph with additions folded into the operator that computes one of their operands, where that operand has no
 * other use: Gemm takes the other operand as its C, ScatterElements(add) over zeros takes it as its data.
 * `zeros` names the values that are known to be all zero.
 */
export function fuseSums(graph: GraphData, shapes: ReadonlyMap<string, string>, zeros: ReadonlySet<string>): GraphData {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const position = new Map(graph.nodes.map((node, i) => [node, i] as const));
  const uses = new Map<string, number>();
  const use = (name: string): void => void uses.set(name, (uses.get(name) ?? 0) + 1);
  for (const node of graph.nodes) node.inputs.forEach(use);
  for (const output of graph.outputs) use(output.name);

  const dropped = new Set<GraphNode>();
  const nodes: GraphNode[] = [];
  for (const node of graph.nodes) nodes.push(node.op === 'Add' ? (fused(node) ?? node) : node);
  return { ...graph, nodes: nodes.filter((node) => !dropped.has(node)) };

  function fused(sum: GraphNode): GraphNode | null {
    const [a, b] = sum.inputs;
    if (shapes.get(a) !== shapes.get(b)) return null;
    // The later of two products absorbs the earlier one, which may be needed long before.
    const candidates = [
      [a, b],
      [b, a],
    ].filter(([taken]) => uses.get(taken) === 1 && foldable(makers.get(taken)));
    candidates.sort(([x], [y]) => position.get(makers.get(y)!)! - position.get(makers.get(x)!)!);
    if (candidates.length === 0) return null;
    const [taken, other] = candidates[0];
    const node = makers.get(taken)!;
    const inputs = node.op === 'Gemm' ? [...node.inputs, other] : [other, ...node.inputs.slice(1)];
    const replacement = { ...node, inputs, outputs: sum.outputs };
    dropped.add(node);
    makers.set(sum.outputs[0], replacement);
    position.set(replacement, position.get(sum)!);
    return replacement;
  }

  function foldable(node: GraphNode | undefined): boolean {
    if (!node || dropped.has(node)) return false;
    if (node.op === 'Gemm') return node.inputs.length === 2;
    return node.op === 'ScatterElements' && zeros.has(node.inputs[0]);
  }
}

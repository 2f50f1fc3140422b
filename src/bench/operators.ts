// Every operator that training needs, its result and its gradients, on each runtime: which runtimes agree, and what WebGPU leaves to the CPU.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { decodeOnnx } from '../tensor/onnx-reader.ts';
import { OPERATOR_CASES } from '../tensor/operator-cases.ts';
import { largestDifference, probeOf, runProbe } from '../tensor/operator-probe.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { trainASmallModel } from '../training/self-test.ts';
import { flag, type Report, type Values } from './bench.ts';
import { servePageOf } from './built-page.ts';
import { CHROMIUM, launch, SOFTWARE_GPU } from './chromium.ts';
import { BenchError } from './errors.ts';
import type { page as operatorsPage } from './operators-page/main.ts';
import { table } from './report.ts';

export const options = { write: flag('also writes docs/operators.md') };
const DOCUMENT = join(import.meta.dirname, '..', '..', 'docs', 'operators.md');
/** Sums in another order differ by less; a wrong kernel by much more. */
const TOLERANCE = 1e-4;

type Outputs = Record<string, number[]>;
type Scope = typeof globalThis & { readonly operators: typeof operatorsPage };

/** The result of an operator on one runtime: the largest difference from the native CPU, or the error. */
type Outcome = { readonly difference: number } | { readonly error: string };

export interface OperatorRow {
  readonly operator: string;
  /** ONNX operators of its graph, gradients included. */
  readonly onnx: readonly string[];
  readonly wasm_in_node: Outcome;
  readonly wasm_in_chromium: Outcome;
  readonly webgpu: Outcome;
  /** ONNX operators that WebGPU left to the CPU; null if ONNX Runtime did not report it. */
  readonly on_cpu: readonly string[] | null;
}

/** The operators that ONNX Runtime, by its own log, placed on the CPU while it loaded graphs; null if the log does not say. */
export function placedOnCpu(log: readonly string[]): string[] | null {
  const found = new Set<string>();
  let heard = false;
  let onCpu = false;
  for (const line of log) {
    const said = /VerifyEachNodeIsAssignedToAnEp\]\s+(.*)/.exec(line)?.[1];
    if (said === undefined) continue;
    const provider = /placed on \[(\w+)\]/.exec(said)?.[1];
    if (provider) {
      heard = true;
      onCpu = provider === 'CPUExecutionProvider';
    }
    if (provider && onCpu && said.startsWith('All')) found.add('every node');
    const node = /^(\w+) \(/.exec(said)?.[1];
    if (onCpu && node) found.add(node);
  }
  return heard ? [...found].sort() : null;
}

const compare = (found: Outputs[] | string, reference: readonly Outputs[]): Outcome => {
  if (typeof found === 'string') return { error: found };
  return { difference: Math.max(...reference.map((outputs, i) => largestDifference(found[i], outputs))) };
};

const casesOf = (operator: string) => OPERATOR_CASES[operator].map(probeOf);
async function inNode(runtime: Runtime, operator: string): Promise<Outputs[]> {
  const results: Outputs[] = [];
  for (const probe of casesOf(operator)) results.push(await runProbe(runtime, probe));
  return results;
}

async function stepInNode(runtime: Runtime): Promise<Outputs[]> {
  const { losses, gradients } = await trainASmallModel(runtime);
  return [{ losses: [...losses], ...Object.fromEntries([...gradients].map(([name, data]) => [name, [...data]])) }];
}

async function measure(page: Page): Promise<OperatorRow[]> {
  const [native, wasm] = [await createNativeRuntime({ threads: 1 }), await createWasmRuntime({ threads: 1 })];
  let log: string[] = [];
  page.on('console', (message) => log.push(message.text()));
  const rows: OperatorRow[] = [];
  try {
    for (const operator of Object.keys(OPERATOR_CASES)) {
      const reference = await inNode(native, operator);
      const inPage = (name: 'wasm' | 'webgpu') =>
        page.evaluate(([name, operator]) => (globalThis as Scope).operators.runOperator(name, operator), [
          name,
          operator,
        ] as const);
      const wasm_in_chromium = compare(await inPage('wasm'), reference);
      log = [];
      const webgpu = compare(await inPage('webgpu'), reference);
      const onnx = new Set(casesOf(operator).flatMap(({ graph }) => decodeOnnx(graph.onnx).nodes.map(({ op }) => op)));
      rows.push({
        operator,
        onnx: [...onnx].sort(),
        wasm_in_node: compare(await inNode(wasm, operator), reference),
        wasm_in_chromium,
        webgpu,
        on_cpu: placedOnCpu(log),
      });
      process.stderr.write(`\r${rows.length} of ${Object.keys(OPERATOR_CASES).length} operators `);
    }
    const reference = await stepInNode(native);
    const stepInPage = async (name: 'wasm' | 'webgpu') => {
      const found = await page.evaluate((name) => (globalThis as Scope).operators.runStep(name), name);
      return compare(typeof found === 'string' ? found : [found], reference);
    };
    const wasm_in_chromium = await stepInPage('wasm');
    log = [];
    const webgpu = await stepInPage('webgpu');
    const wasm_in_node = compare(await stepInNode(wasm), reference);
    const operator = 'a whole training step';
    rows.push({ operator, onnx: [], wasm_in_node, wasm_in_chromium, webgpu, on_cpu: placedOnCpu(log) });
    process.stderr.write('\n');
    return rows;
  } finally {
    await Promise.all([native.close(), wasm.close()]);
  }
}

const shown = (outcome: Outcome): string => {
  if ('error' in outcome) return `fails: ${outcome.error.slice(0, 80)}`;
  if (outcome.difference === 0) return 'same bits';
  return outcome.difference <= TOLERANCE ? outcome.difference.toExponential(0) : `WRONG by ${outcome.difference}`;
};

const HEADINGS = ['operator', 'WASM in Node', 'WASM in Chromium', 'WebGPU', 'left to the CPU by WebGPU'];
const cellsOf = (row: OperatorRow): string[] => [
  row.operator,
  shown(row.wasm_in_node),
  shown(row.wasm_in_chromium),
  shown(row.webgpu),
  row.on_cpu === null ? 'not told' : row.on_cpu.join(', ') || '–',
];

function documentOf(rows: readonly OperatorRow[], browser: string): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return `# Operators and runtimes

Written by \`npm run bench operators -- --write\`; Chromium ${browser}, WebGPU on its software adapter (correctness, not speed).

Every operator that a training step is made of, its result and all its gradients, compared with the native CPU runtime:
the largest difference, relative to the largest value of the tensor that it is in. Above ${TOLERANCE} it would say WRONG.
The last column names the ONNX operators that WebGPU leaves to the CPU, which costs a way to the GPU's memory and back.

${[line(HEADINGS), line(HEADINGS.map(() => '---')), ...rows.map((row) => line(cellsOf(row)))].join('\n')}

## The ONNX operators behind them

${rows
  .filter(({ onnx }) => onnx.length > 0)
  .map(({ operator, onnx }) => `- \`${operator}\`: ${onnx.join(', ')}`)
  .join('\n')}
`;
}

export async function run({ write }: Values<typeof options>): Promise<Report> {
  if (!CHROMIUM)
    throw new BenchError('usage', 'operators are compared in Chromium too: install the package "chromium"');
  const server = await servePageOf(join(import.meta.dirname, 'operators-page'));
  const browser = await launch(SOFTWARE_GPU);
  try {
    const page = await browser.newPage();
    await page.goto(`${server.hub.url}/start`);
    const rows = await measure(page);
    if (write) writeFileSync(DOCUMENT, documentOf(rows, browser.version()));
    const wrong = rows.filter((row) => [row.wasm_in_node, row.wasm_in_chromium, row.webgpu].some(isWrong));
    const names = wrong.map(({ operator }) => operator).join(', ');
    return {
      data: { chromium: browser.version(), tolerance: TOLERANCE, rows },
      text: table(HEADINGS, rows.map(cellsOf)),
      failure: names ? new BenchError('wrong-result', `wrong on some runtime: ${names}`) : null,
    };
  } finally {
    await browser.close();
    await server.close();
  }
}

const isWrong = (outcome: Outcome): boolean => 'error' in outcome || outcome.difference > TOLERANCE;

// The page of `npm run bench operators`: runs one operator's cases on a runtime of the browser.
import '../../web/tab/no-eval.ts';
import { OPERATOR_CASES } from '../../tensor/operator-cases.ts';
import { probeOf, runProbe } from '../../tensor/operator-probe.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import { createWebGpuRuntime, createWebWasmRuntime } from '../../tensor/web-runtime.ts';
import { trainASmallModel } from '../../training/self-test.ts';
import { WASM_FILES, WEBGPU_FILES } from '../../web/tab/ort-files.ts';

const opened: Partial<Record<'wasm' | 'webgpu', Promise<Runtime>>> = {};
/** WebGPU tells where it places each node; the bench listens. */
const open = (name: 'wasm' | 'webgpu'): Promise<Runtime> => {
  opened[name] ??=
    name === 'wasm'
      ? createWebWasmRuntime({ files: WASM_FILES, threads: 2 })
      : createWebGpuRuntime({ files: WEBGPU_FILES, logLevel: 'verbose' });
  return opened[name];
};

/** Results and gradients of every case of an operator, or the error's text. */
async function runOperator(name: 'wasm' | 'webgpu', operator: string): Promise<Record<string, number[]>[] | string> {
  try {
    const runtime = await open(name);
    const results: Record<string, number[]>[] = [];
    for (const one of OPERATOR_CASES[operator]) results.push(await runProbe(runtime, probeOf(one)));
    return results;
  } catch (error) {
    return String(error);
  }
}

/** Losses and gradients of the small training step, in the same form. */
async function runStep(name: 'wasm' | 'webgpu'): Promise<Record<string, number[]> | string> {
  try {
    const { losses, gradients } = await trainASmallModel(await open(name));
    return { losses: [...losses], ...Object.fromEntries([...gradients].map(([key, data]) => [key, [...data]])) };
  } catch (error) {
    return String(error);
  }
}

export const page = { runOperator, runStep };
Object.assign(globalThis, { operators: page });

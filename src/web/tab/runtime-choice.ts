// What a tab computes with: the GPU where there is one that computes right and is the faster of the two, WASM otherwise.
import type { AnyGame } from '../../games/game.ts';
import { trainingStepOf } from '../../games/pretrain/training-step.ts';
import { Graph } from '../../tensor/graph.ts';
import { add } from '../../tensor/ops.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import { createWebGpuRuntime, createWebWasmRuntime, mayUseThreads } from '../../tensor/web-runtime.ts';
import { tryGpu } from '../../training/runtime-choice.ts';
import { coresAreFree } from './free-cores.ts';
import { WASM_FILES, WEBGPU_FILES } from './ort-files.ts';
import type { RuntimeState } from './state.ts';

/** Beyond this the threads of one training step only wait for each other. */
const MOST_THREADS = 8;

export interface ChosenRuntime {
  readonly runtime: Runtime;
  readonly about: RuntimeState;
}

/** WASM, which every tab needs: to work with, or to compare a GPU with. */
export interface StartedWasm {
  readonly runtime: Runtime;
  readonly threads: number;
  /** Why it has one thread although there are more; empty where it has not, or was asked for one. */
  readonly alone: string;
}

/**
 * Starts WASM. ONNX Runtime compiles its own code at the first load, which takes most of a second: a graph of one node has it do so
 * while keys, run and settings are still being fetched.
 */
export async function startWasm(wanted?: number): Promise<StartedWasm> {
  const usual = wanted ?? defaultThreads();
  const isolated = mayUseThreads();
  const free = wanted !== undefined || usual === 1 || !isolated || (await coresAreFree());
  const threads = isolated && free ? usual : 1;
  const runtime = await createWebWasmRuntime({ files: WASM_FILES, threads });
  const graph = new Graph();
  graph.output('double', add(graph.input('x', 'float32', [1]), 1));
  // What fails here fails again, for whoever loads something that matters.
  void runtime.load(graph.compile()).then(
    (program) => program.close(),
    () => {},
  );
  const alone = isolated ? 'other programs keep this device busy' : 'the page is not cross-origin isolated';
  return { runtime, threads, alone: threads < usual ? `; one thread, because ${alone}` : '' };
}

export interface RuntimeWish {
  readonly wanted: 'auto' | 'wasm' | 'webgpu';
  /** Closed where the GPU is taken. */
  readonly wasm: StartedWasm;
  readonly game: AnyGame;
  readonly params: unknown;
}

/** Chooses between WASM and the GPU. Throws TensorError where WebGPU was asked for by name and cannot be had. */
export async function chooseRuntime(wish: RuntimeWish): Promise<ChosenRuntime> {
  const { runtime: wasm, threads, alone } = wish.wasm;
  const onWasm = (why: string, measured: RuntimeState['measured'] = []): ChosenRuntime => {
    return { runtime: wasm, about: { class: 'wasm', threads, why: why + alone, measured } };
  };
  if (wish.wanted === 'wasm') return onWasm('asked for');
  const absent = wish.wanted === 'auto' ? await reasonAgainstGpu() : null;
  if (absent) return onWasm(absent);

  const gpu = await createWebGpuRuntime({ files: WEBGPU_FILES });
  const names = { gpu: 'WebGPU', cpu: 'WASM' };
  const { taken, why, measured } = await tryGpu({
    ...{ gpu, cpu: wasm, names, asked: wish.wanted === 'webgpu', step: trainingStepOf(wish.game, wish.params) },
  }).catch(async (error) => {
    await gpu.close();
    throw error;
  });
  await (taken ? wasm : gpu).close();
  return taken ? { runtime: gpu, about: { class: 'webgpu', threads: 1, why, measured } } : onWasm(why, measured);
}

/** One core for everything else, except where there are so few that it would cost half of the speed. */
function defaultThreads(): number {
  const cores = navigator.hardwareConcurrency;
  return Math.min(MOST_THREADS, cores > 2 ? cores - 1 : cores);
}

/** Why the GPU is not even tried; null where it is. */
async function reasonAgainstGpu(): Promise<string | null> {
  if (!navigator.gpu) return globalThis.isSecureContext ? 'no WebGPU in this browser' : 'WebGPU needs https';
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (!adapter) return 'no GPU that WebGPU can use';
  if (adapter.info.isFallbackAdapter || adapter.info.architecture === 'swiftshader') return 'only a software GPU here';
  return null;
}

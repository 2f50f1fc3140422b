// What the tests of the tab call in the page: the tab's own functions, and its runtimes by themselves.
import '../../src/web/tab/no-eval.ts';
import { hostGame } from '../../src/games/host/outside.ts';
import type { ProgramResult } from '../../src/games/programs/program.ts';
import type { ProgramCase } from '../../src/games/programs/testing/program-cases.ts';
import { OPERATOR_CASES } from '../../src/tensor/operator-cases.ts';
import { largestDifference, probeOfAll, runProbe } from '../../src/tensor/operator-probe.ts';
import { createWebGpuRuntime, createWebWasmRuntime } from '../../src/tensor/web-runtime.ts';
import { openSandbox } from '../../src/web/sandbox/frame.ts';
import { sandboxWith } from '../../src/web/sandbox/sandbox-port.ts';
import * as api from '../../src/web/tab/api.ts';
import { coresAreFree } from '../../src/web/tab/free-cores.ts';
import * as keys from '../../src/web/tab/keys.ts';
import { readIdentity } from '../../src/web/tab/known-identity.ts';
import { WASM_FILES, WEBGPU_FILES } from '../../src/web/tab/ort-files.ts';
import { openTabPrograms } from '../../src/web/tab/programs.ts';
import { playRound } from './play-round.ts';
import { trainingBits } from './training-case.ts';

const runtimes = {
  wasm: (threads: number) => createWebWasmRuntime({ files: WASM_FILES, threads }),
  webgpu: () => createWebGpuRuntime({ files: WEBGPU_FILES }),
};

/** The bits of training on WASM. */
async function bitsOnWasm(threads: number): Promise<string> {
  const runtime = await runtimes.wasm(threads);
  try {
    return await trainingBits(runtime);
  } finally {
    await runtime.close();
  }
}

/** What a model computes most of: the whole self-test takes a software GPU minutes, and Node's GPU, of the same kernels, has that test. */
const PROBED = { matmul: OPERATOR_CASES.matmul, softmax: OPERATOR_CASES.softmax };

/** The largest difference, relative to what it is compared with, between operators with their gradients on a GPU and on WASM. */
async function gpuAgainstWasm(): Promise<number> {
  const probe = probeOfAll(PROBED);
  const [gpu, wasm] = [await runtimes.webgpu(), await runtimes.wasm(1)];
  try {
    const [found, expected] = [await runProbe(gpu, probe), await runProbe(wasm, probe)];
    return Math.max(...Object.entries(expected).map(([name, y]) => largestDifference({ y: found[name] ?? [] }, { y })));
  } finally {
    await Promise.all([gpu.close(), wasm.close()]);
  }
}

/** Hosts a game's text in a sandbox as a contribution does, and calls a part of it. @returns the answer, or the error in words */
async function inSandbox(text: string, part: 'sizes' | 'first', blocked_ms: number): Promise<string> {
  const openHere = () => sandboxWith(text, (port) => openSandbox(port).end);
  const hosted = await hostGame({ open: openHere, word: 'a file', blocked_ms });
  try {
    return JSON.stringify(await (hosted.game[part] as (params: unknown) => unknown)({}));
  } catch (error) {
    return String(error);
  } finally {
    hosted.close();
  }
}

/** Plays a round of a game from a file in a sandbox, with what the tab lends. @returns what `playRound` gives */
async function playInSandbox(text: string): Promise<string> {
  const openHere = () => sandboxWith(text, (port) => openSandbox(port).end);
  const [hosted, runtime, programs] = [
    await hostGame({ open: openHere, word: 'a file' }),
    await runtimes.wasm(1),
    openTabPrograms(),
  ];
  try {
    return await playRound(hosted.game, runtime, programs.run);
  } finally {
    hosted.close();
    programs.close();
    await runtime.end?.();
  }
}

/** How programs end here, as JSON: what passes to the test loses a key named __proto__ otherwise. */
async function endsOf(cases: readonly Pick<ProgramCase, 'program' | 'input' | 'limits'>[]): Promise<string> {
  const { run, close } = openTabPrograms();
  const ends: ProgramResult[] = [];
  for (const { program, input = null, limits } of cases) ends.push(await run(program, input, limits));
  close();
  return JSON.stringify(ends);
}

export const page = {
  ...api,
  ...keys,
  readIdentity,
  bitsOnWasm,
  coresAreFree,
  endsOf,
  gpuAgainstWasm,
  inSandbox,
  playInSandbox,
};
Object.assign(globalThis, { potluck: page });

// What a device with a process of its own computes with: the GPU where there is one that computes right and is the faster, its CPU otherwise.
import type { AnyGame } from '../games/game.ts';
import { trainingStepOf } from '../games/pretrain/training-step.ts';
import { fired } from '../protocol/clock.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { createGpuRuntime, type GpuAdapter, reasonAgainstGpu } from '../tensor/gpu-runtime.ts';
import { createNativeRuntime, isNativeHere } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { type GpuVerdict, tryGpu } from '../training/runtime-choice.ts';

/** What the owner wants this device to compute with; `auto` tries a GPU where there is one. */
export type DeviceWish =
  | { readonly kind: 'auto' | 'cpu' | 'wasm' }
  | { readonly kind: 'gpu'; readonly adapter: GpuAdapter };

export interface RuntimeSettings {
  readonly wish: DeviceWish;
  /** Threads of the CPU. */
  readonly threads: number;
  /** Whether this machine has nothing else to do. */
  readonly alone: boolean;
  /** Variables for the process that talks to the GPU, such as those that choose a driver. */
  readonly environment?: Readonly<Record<string, string>>;
  /** How long a GPU may take to show that it computes right; a driver that hangs is given up then. */
  readonly trial_ms?: number;
  /** Why the owner's rules allow no GPU now; left out, or null, where they do. */
  readonly gpuRests?: () => Promise<string | null>;
  /** Hears which process talks to the GPU. */
  readonly onGpuProcess?: (pid: number) => void;
}

export interface ChosenRuntime {
  readonly runtime: Runtime;
  /** Why this one, in plain words. */
  readonly why: string;
  readonly measured: GpuVerdict['measured'];
}

/** How long a GPU may take that nobody asked for by name: a driver that hangs costs no more than that. */
const TRIAL_MS = 60_000;
/** A software adapter on a busy machine takes minutes to compile its kernels. */
const ASKED_TRIAL_MS = 900_000;

/**
 * Opens a runtime for a run. The caller closes it. Throws PeerError `no-gpu` where a GPU was asked for by name and there is none that
 * computes right.
 * @returns null where `signal` fired before there was one
 */
export async function chooseRuntime(
  settings: RuntimeSettings,
  game: AnyGame,
  params: unknown,
  signal: AbortSignal = new AbortController().signal,
): Promise<ChosenRuntime | null> {
  const { wish, threads, alone } = settings;
  if (wish.kind === 'wasm') return { runtime: await createWasmRuntime({ threads }), why: 'asked for', measured: [] };
  const cpu = await (isNativeHere() ? createNativeRuntime({ threads, alone }) : createWasmRuntime({ threads }));
  const onCpu = (why: string, measured: GpuVerdict['measured'] = []): ChosenRuntime => ({
    runtime: cpu,
    why,
    measured,
  });
  if (wish.kind === 'cpu') return onCpu('asked for');
  const asked = wish.kind === 'gpu';
  const absent = reasonAgainstGpu(asked);
  if (absent !== null) {
    if (!asked) return onCpu(absent);
    await cpu.close();
    throw new PeerError('no-gpu', `expected a GPU to compute with, got none: ${absent}`);
  }
  const rests = await settings.gpuRests?.();
  if (rests) return onCpu(rests);
  const { environment, onGpuProcess: onStart } = settings;
  const gpu = createGpuRuntime({ adapter: asked ? wish.adapter : 'high-performance', environment, onStart });
  const verdict = await withinTime(settings.trial_ms ?? (asked ? ASKED_TRIAL_MS : TRIAL_MS), signal, () =>
    tryGpu({
      gpu,
      cpu,
      names: { gpu: 'the GPU', cpu: 'the CPU' },
      asked: false, // whatever keeps it from computing is told below
      step: asked ? null : trainingStepOf(game, params),
    }),
  );
  if (verdict === null) {
    await Promise.all([gpu.end(), cpu.close()]);
    return null;
  }
  if (verdict.taken) {
    await cpu.close();
    return { runtime: gpu, why: verdict.why, measured: verdict.measured };
  }
  await gpu.end();
  if (!asked) return onCpu(verdict.why, verdict.measured);
  await cpu.close();
  throw new PeerError(
    'no-gpu',
    `expected a GPU that computes right, got: ${verdict.why}; without --device gpu the CPU computes`,
  );
}

/** @returns null where `signal` fired first */
async function withinTime(
  trial_ms: number,
  signal: AbortSignal,
  trial: () => Promise<GpuVerdict>,
): Promise<GpuVerdict | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<GpuVerdict>((resolve) => {
    const why = `the GPU did not finish its self-test within ${Math.round(trial_ms / 1000)} s`;
    timer = setTimeout(() => resolve({ taken: false, why, measured: [] }), trial_ms);
  });
  const tried = trial();
  tried.catch(() => {}); // after its time nobody waits for it
  try {
    return await Promise.race([tried, late, fired(signal).then(() => null)]);
  } finally {
    clearTimeout(timer);
  }
}

// The GPU runtime in Node: onnxruntime-node's WebGPU provider (Dawn: Vulkan, Direct3D 12 or Metal) in a child process, because a driver
// that crashes ends the process that calls it, and a machine without an adapter does so too.
import { existsSync, readdirSync } from 'node:fs';
import type { Runtime } from './runtime.ts';
import { runtimeOverWorker } from './runtime-client.ts';
import { startNodeProcess } from './runtime-node-process.ts';

/** Which adapter is asked for where a machine has several: the fast one, or the one that saves power. */
export type GpuAdapter = 'high-performance' | 'low-power';

export interface GpuOptions {
  readonly adapter?: GpuAdapter;
  /** Variables of the child's environment, such as those that choose a Vulkan driver. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Hears which process talks to the GPU: whoever wants the GPU at once ends it. */
  readonly onStart?: (pid: number) => void;
}

export interface GpuRuntime extends Runtime {
  /** Ends its process at once, whatever it is at: a driver that hangs answers no `close`. */
  end(): Promise<void>;
}

/** Platforms for which onnxruntime-node 1.30 brings the provider. */
const BUNDLED: ReadonlySet<string> = new Set(['linux-x64', 'win32-x64', 'win32-arm64', 'darwin-arm64']);

/** Whether the provider is there for this platform; whether there is an adapter shows when a graph is loaded. */
export const hasGpuProvider = ({ platform, arch } = process): boolean => BUNDLED.has(`${platform}-${arch}`);

/** Why a GPU is not even tried; null where one is. `asked` for by name: also where nothing shows one. */
export function reasonAgainstGpu(asked: boolean): string | null {
  if (!hasGpuProvider()) return 'ONNX Runtime brings no GPU kernels for this platform';
  if (!asked && process.platform === 'linux' && !hasLinuxGpu()) return 'no GPU here'; // a driver without a device would only cost time
  return null;
}

/** Whether the kernel shows a GPU: a render node of its own drivers, or NVIDIA's devices. */
function hasLinuxGpu(): boolean {
  if (existsSync('/dev/nvidia0')) return true;
  try {
    return readdirSync('/dev/dri').some((name) => name.startsWith('renderD'));
  } catch {
    return false;
  }
}

/**
 * Starts a runtime whose weights and moments stay on the GPU between runs. Its calls are rejected with runtime-died where
 * the driver ended the child process, which is also what happens without an adapter.
 */
export function createGpuRuntime({ adapter = 'high-performance', environment, onStart }: GpuOptions = {}): GpuRuntime {
  const script = new URL('./gpu-runtime-process.ts', import.meta.url);
  const port = startNodeProcess(script, { adapter }, environment, onStart);
  return Object.assign(runtimeOverWorker('webgpu', port), { end: port.end });
}

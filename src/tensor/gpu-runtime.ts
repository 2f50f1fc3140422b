// The GPU runtime in Node: onnxruntime-node's WebGPU provider (Dawn: Vulkan, Direct3D 12 or Metal) in a child process, because a driver
// that crashes ends the process that calls it, and a machine without an adapter does so too.
import type { Runtime } from './runtime.ts';
import { runtimeOverWorker } from './runtime-client.ts';
import { startNodeProcess } from './runtime-node-process.ts';

/** Which adapter is asked for where a machine has several: the fast one, or the one that saves power. */
export type GpuAdapter = 'high-performance' | 'low-power';

export interface GpuOptions {
  readonly adapter?: GpuAdapter;
  /** Variables of the child's environment, such as those that choose a Vulkan driver. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Platforms for which onnxruntime-node 1.30 brings the provider. */
const BUNDLED: ReadonlySet<string> = new Set(['linux-x64', 'win32-x64', 'win32-arm64', 'darwin-arm64']);

/** Whether the provider is there for this platform; whether there is an adapter shows when a graph is loaded. */
export const hasGpuProvider = ({ platform, arch } = process): boolean => BUNDLED.has(`${platform}-${arch}`);

/**
 * Starts a runtime whose weights and moments stay on the GPU between runs. Its calls are rejected with runtime-died where
 * the driver ended the child process, which is also what happens without an adapter.
 */
export function createGpuRuntime({ adapter = 'high-performance', environment }: GpuOptions = {}): Runtime {
  const script = new URL('./gpu-runtime-process.ts', import.meta.url);
  return runtimeOverWorker('webgpu', startNodeProcess(script, { adapter }, environment));
}

// The native CPU runtime: onnxruntime-node in worker threads, so that the event loop stays free for the network.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import './no-telemetry.ts';
import type { Runtime } from './runtime.ts';
import { runtimeOverWorker, type SharingRuntime, threadCount } from './runtime-client.ts';
import { startNodeWorker } from './runtime-node-worker.ts';
import { TeamRuntime } from './team-runtime.ts';

export interface NativeOptions {
  /** 1 … 256; by default all cores. */
  readonly threads?: number;
  /**
   * Threads inside a graph spin while they wait for each other. That is a few per cent faster on an idle machine; on a busy
   * one spinning threads starve others and each other. By default they sleep.
   */
  readonly alone?: boolean;
}

/** Whether there are kernels for this machine: some platforms have none, and a package contains those of one platform. */
export function isNativeHere({ platform, arch } = process): boolean {
  const library = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return existsSync(join(library, 'bin', 'napi-v6', platform, arch, 'onnxruntime_binding.node'));
}

/** Each member of a team keeps gradients as large as the model, so beyond this number threads share graphs as well. */
const LIMIT_MEMBERS = 4;

/** Starts a runtime with its own worker threads and ONNX Runtime's CPU kernels. Close it to free them.
 * Throws bad-argument where `threads` is out of range. */
export async function createNativeRuntime(options: NativeOptions = {}): Promise<Runtime> {
  const threads = threadCount(options.threads);
  const start = (threads: number): SharingRuntime => {
    const settings = { threads, alone: options.alone ?? false };
    return runtimeOverWorker(
      'native-cpu',
      startNodeWorker(new URL('./native-runtime-worker.ts', import.meta.url), settings),
    );
  };
  const members = Math.min(threads, LIMIT_MEMBERS);
  return new TeamRuntime('native-cpu', members, {
    whole: () => start(threads),
    member: () => start(Math.floor(threads / members)),
  });
}

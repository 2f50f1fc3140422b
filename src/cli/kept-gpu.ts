// What a kept process tells its keeper of graphics processors: which processes of its own talk to one now, and that one has failed.
import type { RuntimeSettings } from '../peer/choose-runtime.ts';
import type { PeerNews } from '../peer/role.ts';
import { isRunning } from '../protocol/whole-file.ts';
import type { TellKeeper } from './kept-process.ts';

export interface GpuUse {
  readonly runtime: Pick<RuntimeSettings, 'gpuRests' | 'onGpuProcess'>;
  /** @returns whether that was for the keeper alone */
  hear(news: PeerNews): boolean;
}

/** @param wanted ends the work, for its keeper to begin it anew */
export function openGpuUse(keeper: TellKeeper, wanted: AbortController): GpuUse {
  let pids: number[] = [];
  let onGpu = false;
  const tell = (): void => {
    pids = pids.filter(isRunning);
    keeper.gpuProcesses(pids);
  };
  return {
    runtime: {
      gpuRests: keeper.gpuRests,
      onGpuProcess(pid) {
        pids.push(pid);
        tell();
      },
    },
    hear(news) {
      if (news.type === 'computes') {
        onGpu ||= news.runtime === 'webgpu';
        tell();
      }
      if (!onGpu || news.type !== 'problem' || news.code !== 'runtime-died') return false;
      // Its keeper has ended it; or its driver has, and the keeper begins anew without it.
      if (!wanted.signal.aborted) keeper.gpuFailed(`the GPU failed: ${news.message}`);
      wanted.abort();
      return true;
    },
  };
}

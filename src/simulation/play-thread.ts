// The thread in which one arena is played: whatever a designer's game does in it, it can be ended from outside.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { CodedError } from '../errors.ts';
import { adversaryNamed } from './adversaries/registry.ts';
import { playArena } from './arena.ts';
import type { ArenaResult } from './arena-result.ts';
import { type FromThread, LOADING } from './game-thread.ts';
import { lazyRuntime } from './lazy-runtime.ts';
import type { PlayJob } from './play.ts';
import { ARENA_RULES, crowdOf } from './play-job.ts';
import { setUpGame } from './play-setup.ts';
import { rememberingRuntime } from './remembering-runtime.ts';

const tell = (message: FromThread<ArenaResult>): void => parentPort!.postMessage(message);

async function play({ game, settings, adversary, crowd, rounds, seed, call_ms }: PlayJob): Promise<void> {
  const runtime = rememberingRuntime(lazyRuntime());
  try {
    const limits = { perform_ms: call_ms, check_ms: call_ms };
    tell({ type: 'call', what: LOADING, who: game });
    const setup = await setUpGame(game, settings, limits);
    const result = await playArena({
      ...setup,
      devices: crowdOf(crowd, adversary ? [adversaryNamed(adversary)] : [], () => runtime),
      ...{ rounds, seed, rules: ARENA_RULES, plant_every: 3 },
      ends_when_broken: adversary === null,
      watch: (call) => tell(call ? { type: 'call', ...call } : { type: 'idle' }),
    });
    tell({ type: 'done', result });
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    tell({ type: 'failed', code: error.code, message: error.message });
  } finally {
    await runtime.close();
  }
}

if (!isMainThread) await play(workerData as PlayJob);

// The thread in which one arena is played: whatever a designer's game does in it, it can be ended from outside.
import { isStaged } from '../games/game.ts';
import { adversaryNamed } from './adversaries/registry.ts';
import { playArena } from './arena.ts';
import type { ArenaResult } from './arena-result.ts';
import { inGameThread, LOADING } from './game-thread.ts';
import type { PlayJob } from './play.ts';
import { ARENA_RULES, crowdOf } from './play-job.ts';
import { setUpGame } from './play-setup.ts';
import { rememberingRuntime } from './remembering-runtime.ts';

await inGameThread<PlayJob, ArenaResult>(async (job, tell, ownRuntime) => {
  const { game, settings, adversary, crowd, rounds, seed, call_ms } = job;
  const remembering = rememberingRuntime(ownRuntime);
  tell({ type: 'call', what: LOADING, who: game });
  const setup = await setUpGame(game, settings, { perform_ms: call_ms, check_ms: call_ms }, remembering);
  // The graphs of a stage share their states, which a runtime that remembers results does not know.
  const staged = isStaged(setup.game);
  const runtime = staged ? ownRuntime : remembering;
  return playArena({
    ...setup,
    devices: crowdOf(crowd, adversary ? [adversaryNamed(adversary)] : [], () => runtime),
    ...{ rounds, seed, rules: ARENA_RULES, plant_every: staged ? 0 : 3 },
    ends_when_broken: adversary === null,
    watch: (call) => tell(call ? { type: 'call', ...call } : { type: 'idle' }),
  });
});

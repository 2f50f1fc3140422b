// The thread in which a game is validated: whatever a designer's game does in it, it can be ended from outside.
import { inGameThread, LOADING } from './game-thread.ts';
import { setUpGame } from './play-setup.ts';
import { type Check, validateGame } from './validate.ts';
import type { ValidateJob } from './validate-job.ts';

await inGameThread<ValidateJob, string, Check>(async ({ game, settings, call_ms }, tell, runtime) => {
  const begins = (what: string): void => tell({ type: 'call', what, who: '' });
  begins(LOADING);
  const limits = { perform_ms: call_ms, stop_ms: call_ms, check_ms: call_ms };
  const setup = await setUpGame(game, settings, limits, runtime);
  await validateGame({ setup, runtime, call_ms, begins, tell: (part) => tell({ type: 'part', part }) });
  return setup.game.name;
});

// Lets a wrapper see a task's inputs: keeps what `task` was called with beside the game's own opaque task.
import type { AnyGame, Claim, Device, Judging, Round, Verdict } from '../../games/game.ts';

/** A task with its inputs. */
export interface OpenTask {
  readonly inner: unknown;
  readonly round: Round;
  readonly worker: string;
  readonly state: unknown;
}

export interface Deeds {
  perform?(task: OpenTask, device: Device, signal: AbortSignal): Promise<Claim | null>;
  check?(task: OpenTask, claim: Claim, device: Device, judging: Judging): Promise<Verdict>;
}

/** The game with some parts replaced. */
export function withDeeds(game: AnyGame, { perform, check }: Deeds): AnyGame {
  return {
    ...game,
    task: async (params, round, worker, state): Promise<OpenTask> => ({
      inner: await game.task(params, round, worker, state),
      round,
      worker,
      state,
    }),
    perform: (task: OpenTask, device, signal) =>
      perform ? perform(task, device, signal) : game.perform(task.inner, device, signal),
    check: (task: OpenTask, claim, device, judging) =>
      check ? check(task, claim, device, judging) : game.check(task.inner, claim, device, judging),
  };
}

/** Does honest work for so many steps and stops, because a liar needs something to show. */
export async function workFor(
  steps: number,
  game: AnyGame,
  task: OpenTask,
  device: Device,
  signal: AbortSignal,
): Promise<Claim | null> {
  const enough = new AbortController();
  let done = 0;
  const watched: Device = {
    ...device,
    async progress(report) {
      if (++done >= steps) enough.abort();
      await device.progress(report);
    },
  };
  return game.perform(task.inner, watched, AbortSignal.any([signal, enough.signal]));
}

/** The same work, as if it were so many times as much. */
export const manyTimes = ({ work, amount, numbers }: Claim, times: number): Claim => ({
  ...{ work, amount: times * amount },
  numbers: Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, times * value])),
});

/** A verdict without measurements. */
export function unseen(claim: Claim, accepted: boolean): Verdict {
  return {
    accepted,
    fraud: !accepted,
    code: accepted ? 'ok' : 'harmful',
    weight: accepted ? claim.amount : 0,
    score_micro: accepted ? 1 : 0,
    numbers: {},
    evidence: {},
  };
}

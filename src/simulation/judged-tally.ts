// The tally game with the costs of pre-training's checks. A look takes two steps and finds made-up work; a judge that does not look finds nothing.
// A repetition takes as many steps as the draw says, or as there is time for, and also finds slightly wrong work; on made-up work it ends
// sooner.
import type { AnyGame } from '../games/game.ts';
import { type TallyTask, workOf } from './tally-game.ts';

const LOOK_STEPS = 2;
/** The part of the steps after which a repetition of made-up work ends, because invented losses are far away by then (games/pretrain/repeat.ts). */
const MADE_UP_PART = 1 / 3;

/** @param step_ms the duration of a step on the judging device */
export function judgedAsTraining(game: AnyGame, step_ms: number): AnyGame {
  return {
    ...game,
    async check(task: TallyTask, claim, device, judging) {
      const claimed = claim.numbers.steps;
      const asked = Math.ceil((claimed * judging.repeat_permille) / 1000);
      const right = workOf(task, claimed);
      const [isRight, isSlightlyWrong] = [right, slightlyWrong(right)].map(
        (work) => Buffer.compare(claim.work, work) === 0,
      );
      const repeated = isRight || isSlightlyWrong ? asked : asked * MADE_UP_PART;
      const least = judging.looks ? LOOK_STEPS : 0;
      const steps = Math.max(least, Math.min(repeated, judging.time_ms / step_ms));
      for (let i = 1; i < steps; i++) await device.progress({ amount: i, numbers: {} });
      const looksRight = asked === 0 && (isSlightlyWrong || !judging.looks);
      return game.check(task, looksRight ? { ...claim, work: right } : claim, device, judging);
    },
  };
}

/** Work that only a repetition of it, or of its beginning, finds to be wrong. */
export function slightlyWrong(work: Uint8Array): Uint8Array {
  const result = work.slice();
  result[result.length - 1] ^= 1;
  return result;
}

/** Work that every look finds to be made up. */
export function madeUp(work: Uint8Array): Uint8Array {
  const result = work.slice();
  for (let i = 4; i < result.length; i++) result[i] ^= 0xff;
  return result;
}

// What lying devices of a cartel do, as replaced parts of the game.
import type { RunState } from '../core/state.ts';
import { CodedError } from '../errors.ts';
import { stepsAllowed } from '../games/first-work.ts';
import type { AnyGame, Claim, Device, Judging, Verdict } from '../games/game.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { Random } from '../protocol/random.ts';
import { unseen } from './adversaries/task.ts';
import { madeUp, slightlyWrong } from './judged-tally.ts';
import { type TallyTask, toldLoss, workOf } from './tally-game.ts';
import type { Inhabitant, World } from './world.ts';

/** The common knowledge of a cartel: only the public log and its own keys. */
export interface Ring {
  readonly world: World;
  readonly random: Random;
  /** The ids of the liars. */
  readonly workers: Set<string>;
  readonly validators: Set<string>;
  /** Hashes of work that is a lie. */
  readonly lies: Set<string>;
  /** The open round, and the liar that acts in it if only one does. */
  round: number;
  actor: string | null;
  /** The last draw of judges. */
  last_draw: string | null;
  run(): RunState;
}

/** The parts of the game that a liar replaces. */
export type Part = (game: AnyGame, liar: Inhabitant, ring: Ring) => Partial<AnyGame>;

/** What a conspiracy does; everything else its devices do honestly. */
export interface Conspiracy {
  readonly worker?: Part;
  readonly validator?: Part;
  /** Called when a round opens. */
  onRound?(ring: Ring): void;
}

/** Hands in, after one step, work that is made up and claims a whole round, or as much as it may. */
export const fabricates: Part = (_game, _liar, ring) => ({
  async perform(task: TallyTask, device: Device): Promise<Claim> {
    const { tokens_per_step } = task.params;
    const steps = stepsAllowed(task.params.steps, tokens_per_step, task.round);
    await device.progress({ amount: tokens_per_step, numbers: { steps: 1 } });
    const work = madeUp(workOf(task, steps));
    ring.lies.add(sha256Hex(work));
    return { work, amount: steps * tokens_per_step, numbers: { steps, loss_micro: toldLoss(task) } };
  },
});

/** Works honestly for some rounds, then submits, every so many rounds, wrong work that only a repetition finds. */
export const sleeps =
  (honest_rounds: number, lies_every: number): Part =>
  (game, _liar, ring) => {
    let rounds = 0;
    return {
      async perform(task: TallyTask, device: Device, signal: AbortSignal): Promise<Claim | null> {
        const lies = ++rounds > honest_rounds && (rounds - honest_rounds) % lies_every === 0;
        const claim = await game.perform(task, device, signal);
        if (!claim || !lies) return claim;
        const work = slightlyWrong(claim.work);
        ring.lies.add(sha256Hex(work));
        return { ...claim, work };
      },
    };
  };

type Check = (task: TallyTask, claim: Claim, device: Device, judging: Judging) => Promise<Verdict>;
const judges = (check: (game: AnyGame, liar: Inhabitant, ring: Ring) => Check): Part => {
  return (game, liar, ring) => ({ check: check(game, liar, ring) });
};
const isFriend = (ring: Ring, { peer }: TallyTask): boolean => ring.workers.has(peer);

/** Accepts friends' work and calls everybody else's made up. */
export const hostile = judges((_game, _liar, ring) => async (task, claim) => unseen(claim, isFriend(ring, task)));

/** Accepts friends' work, and judges the others honestly. */
export const bribed = judges(
  (game, _liar, ring) => async (task, claim, device, judging) =>
    isFriend(ring, task) ? unseen(claim, true) : game.check(task, claim, device, judging),
);

/** Accepts everything without a look. */
export const lazy = judges(() => async (_task, claim) => unseen(claim, true));

const keepsSilent = (): never => {
  throw new CodedError('silent', 'this judge never says what it has found');
};

/** Is present, and never seals a verdict. */
export const silent = judges(() => async () => keepsSilent());

/** In each round only the first of them that gets work to judge does it; the others are honest. */
const oneAtATime = (deed: (claim: Claim) => Verdict): Part =>
  judges((game, { identity }, ring) => async (task, claim, device, judging) => {
    ring.actor ??= identity.id;
    return ring.actor === identity.id ? deed(claim) : game.check(task, claim, device, judging);
  });

/** Calls honest work made up, so that there is an appeal in every round. */
export const criesWolfInTurn = oneAtATime((claim) => unseen(claim, false));
/** Delays the round. */
export const silentInTurn = oneAtATime(keepsSilent);

// Events and rules for tests and benches with handmade histories: a verdict, and the commitment (seal) that must precede it.
import type { RunCreated } from '../events/run-created.ts';
import type { VerdictGiven } from '../events/verdict-given.ts';
import type { VerdictSealed } from '../events/verdict-sealed.ts';
import { sealOf } from '../rounds/judging.ts';
import type { Rules } from '../rules.ts';

/** What runs by hand count and measure: as pre-training does. */
export const EXAMPLE_WORDS: Pick<RunCreated, 'unit' | 'metrics' | 'numbers'> = {
  unit: 'tokens',
  metrics: [{ name: 'loss_micro', words: 'validation loss', unit: 'nats', better: 'lower' }],
  numbers: {
    work: [
      { name: 'steps', words: 'steps', unit: 'steps' },
      { name: 'loss_micro', words: 'training loss', unit: 'nats' },
    ],
    verdict: [
      { name: 'loss_before_micro', words: 'loss before', unit: 'nats' },
      { name: 'loss_after_micro', words: 'loss after', unit: 'nats' },
    ],
  },
};

/** How the creation of a run by hand begins. */
export const EXAMPLE_RUN = {
  type: 'run.created',
  version: 3,
  ...EXAMPLE_WORDS,
  name: 'test',
  game: 'pretrain',
} as const;

/** Plain rules with the given emission. */
export function exampleRules(emission: Rules['emission'], more: Partial<Rules> = {}): Rules {
  return {
    emission,
    judges: 3,
    withheld_rounds: 0,
    probation: 10,
    reexecute_permille: 50,
    notice_rounds: 1,
    validators: [],
    ...more,
  };
}

const ANY_HASH = 'a'.repeat(64);

/** A verdict that vouches for the whole amount, or refuses. */
export function exampleVerdict(
  run: string,
  submission: string,
  amount: number,
  accepted = true,
  more: Partial<VerdictGiven> = {},
): VerdictGiven {
  return {
    type: 'verdict.given',
    version: 2,
    run,
    submission,
    salt: ANY_HASH,
    accepted,
    fraud: false,
    code: accepted ? 'ok' : 'harmful',
    weight: accepted ? amount : 0,
    score_micro: 1,
    numbers: { loss_before_micro: 2, loss_after_micro: 1 },
    evidence: ANY_HASH,
    ...more,
  };
}

/** The event that must be in the log before a verdict may be revealed. */
export function sealFor(validator: string, verdict: VerdictGiven): VerdictSealed {
  const { run, submission, appeal, contest } = verdict;
  return {
    type: 'verdict.sealed',
    version: 1,
    run,
    submission,
    ...(appeal && { appeal }),
    ...(contest !== undefined && { contest }),
    seal: sealOf(validator, verdict),
  };
}

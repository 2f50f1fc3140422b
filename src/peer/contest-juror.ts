// A validator in the jury of a contest: re-executes the contested work from the public log while rounds go on, commits to (seals) its verdict,
// and reveals it when all are committed or the time is over. If it cannot re-execute the work, it accuses nobody.
import { bytesToHex } from '@noble/hashes/utils.js';
import { PublicLogError } from '../audit/public-log.ts';
import { recheckSubmission } from '../audit/recheck.ts';
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import { sealOf } from '../core/rounds/judging.ts';
import { CodedError } from '../errors.ts';
import type { Verdict } from '../games/game.ts';
import { saltFor } from '../games/judging-draw.ts';
import { utf8 } from '../protocol/hash.ts';
import type { RunView } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import type { RoleContext } from './role.ts';
import { openSealedVerdicts } from './sealed-verdicts.ts';

type ContestView = NonNullable<RunView['contests']>[number];

/** A jury has at most 19 rounds; in that time a machine twice as fast as the worker's repeats so many of the worker's rounds. */
const MOST_CHAIN_ROUNDS = 40;

const KEPT = 'contest-verdicts';
const CANNOT_REPEAT = 'cannot-repeat';

export interface ContestJuror {
  /** Call it with every view that the validator acts on; it does not wait for the re-execution. */
  act(view: RunView, leaving: AbortSignal): Promise<void>;
}

/** `orTell` reports what keeps this validator from answering. */
export function contestJuror(context: RoleContext, orTell: (error: unknown) => void): ContestJuror {
  const { identity, run, device, blobs } = context;
  const kept = openSealedVerdicts(device.drawer, KEPT, () =>
    context.tell({ type: 'problem', code: 'bad-drawer', message: 'verdicts of contests cannot be read' }),
  );
  /** Contests that were judged here, or are being judged. */
  const begun = new Set<string>();
  let judging = false;
  let newest: RunView | null = null;
  let over = (): boolean => false;
  let moved = (): void => {};

  /** Resolves when no round is being judged: the round's workers wait for its verdicts, while a contest has time. */
  const untilIdle = async (): Promise<void> => {
    while (newest && !over() && ['judging', 'revealing', 'merging'].includes(newest.phase)) {
      await new Promise<void>((resolve) => {
        moved = resolve;
      });
    }
    if (over()) throw new Left();
  };

  const repeat = async ({ submission }: ContestView): Promise<Verdict> => {
    if (!context.publicLog) return cannot('this device cannot read the whole log');
    const log = await context.publicLog();
    try {
      const { rounds } = await recheckSubmission(log, submission, {
        ...{ runtime: device.runtime, loadGame: async () => context.game, most_rounds: MOST_CHAIN_ROUNDS },
        ...{ run: device.run, onRound: untilIdle },
      });
      return rounds.at(-1)!.verdict;
    } catch (error) {
      // An unreachable hub may come back; all other obstacles stay.
      if (!(error instanceof CodedError) || error instanceof Left || isPassing(error)) throw error;
      return cannot(`${error.code}: ${error.message}`);
    } finally {
      log.close();
    }
  };

  const judge = async (contested: ContestView): Promise<void> => {
    const { submission, contest } = contested;
    const { evidence, ...found } = await repeat(contested);
    const published = { submission, validator: identity.id, contest, ...evidence };
    const verdict: VerdictGiven = {
      ...{ type: 'verdict.given', version: 2, run, submission, contest },
      salt: bytesToHex(await saltFor(identity, submission, `contest ${contest}`)),
      ...found,
      evidence: await blobs.upload(utf8(`${JSON.stringify(published, null, 1)}\n`)),
    };
    await kept.put(verdict);
    const seal = sealOf(identity.id, verdict);
    await context.submit({ type: 'verdict.sealed', version: 1, run, submission, contest, seal });
    const { accepted, code } = found;
    context.tell({ type: 'judged', round: contested.round, submission, accepted, code });
  };

  return {
    async act(view, leaving) {
      newest = view;
      over = () => leaving.aborted || newest?.phase === 'finished';
      moved();
      const contests = view.contests ?? [];
      const own = contests.filter(({ judges, shown }) => judges.includes(identity.id) && !shown.includes(identity.id));
      await kept.keepOnly(new Set(contests.map(({ submission }) => submission)));
      for (const { submission, sealed, showing } of own) {
        if (!showing || !sealed.includes(identity.id)) continue;
        const verdict = await kept.get(submission);
        if (verdict) await context.submit(verdict).catch(orTell);
      }
      const next = own.find((one) => !one.showing && !one.sealed.includes(identity.id) && !begun.has(keyOf(one)));
      if (!next || judging) return;
      judging = true;
      begun.add(keyOf(next));
      leaving.addEventListener('abort', () => moved(), { once: true });
      void judge(next)
        .catch((error) => {
          if (over()) return;
          if (isPassing(error)) begun.delete(keyOf(next));
          orTell(error);
        })
        .finally(() => {
          judging = false;
        });
    },
  };
}

/** The validator leaves, or the run ends, during a re-execution. */
class Left extends PeerError {
  constructor() {
    super('disconnected', 'the validator has left');
  }
}

const isPassing = (error: unknown): boolean => error instanceof PublicLogError && error.code === 'unreachable';
const keyOf = ({ submission, contest }: ContestView): string => `${submission} ${contest}`;

/** A verdict that counts for neither side. */
const cannot = (reason: string): Verdict => ({
  ...{ accepted: false, fraud: false, code: CANNOT_REPEAT, weight: 0 },
  ...{ score_micro: 0, numbers: {}, evidence: { reason } },
});

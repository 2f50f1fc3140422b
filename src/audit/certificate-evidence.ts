// A holder's record as events: its submissions with the verdicts on them, its own verdicts, and the merges that decided both.

import type { RoundMerged } from '../core/events/round-merged.ts';
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import type { WorkSubmitted } from '../core/events/work-submitted.ts';
import type { LoggedEvent } from '../core/events.ts';
import { isMerged, type Membership } from '../core/rounds/merged-list.ts';
import { OwnershipError } from './ownership-errors.ts';

/** What the evidence proves. `verdicts` counts the holder's own verdicts, as a validator, that agree with the decision. */
export interface CountedEvidence {
  readonly submissions: number;
  readonly amount: number;
  readonly verdicts: number;
}

interface Claim {
  readonly hub: string;
  readonly run: string;
  readonly model: string;
  readonly merged_rounds: number;
  readonly holder: { readonly account: string; readonly devices: readonly string[] };
}

/**
 * Counts the holder's merged work and right verdicts in opened events, in the order of the log. Every event must contribute:
 * the last merge gives the claimed model, where the run did not come with it from another log, each other merge decides a submission that is present.
 * @param decisions for each submission, in order, whether it is in the list of the merge that decided it
 * Throws OwnershipError `wrong-claim`, `bad-proof`.
 */
export function countEvidence(
  claim: Claim,
  events: readonly LoggedEvent[],
  decisions: readonly Membership[],
): CountedEvidence {
  const own = new Set([claim.holder.account, ...claim.holder.devices]);
  const submissions = new Map<string, LoggedEvent & { body: WorkSubmitted }>();
  const verdicts = new Map<string, (LoggedEvent & { body: VerdictGiven })[]>();
  const merges = new Map<string, RoundMerged>();
  let last: RoundMerged | null = null;
  let came = false;
  for (const event of events) {
    const { body } = event;
    if ('run' in body && body.run !== claim.run) throw wrong(`event ${event.id} is of another run`);
    switch (body.type) {
      case 'work.submitted':
        submissions.set(event.id, { ...event, body });
        break;
      case 'verdict.given':
        if (!submissions.has(body.submission))
          throw wrong(`verdict ${event.id} is on a submission that the certificate does not contain`);
        verdicts.set(body.submission, [...(verdicts.get(body.submission) ?? []), { ...event, body }]);
        break;
      case 'round.merged':
        if (event.author !== claim.hub) throw wrong(`merge ${event.id} is not by the hub ${claim.hub}`);
        if (body.bundle === null) throw wrong(`merge ${event.id} accepted nothing and paid nobody`);
        merges.set(`${body.round} ${body.attempt}`, body);
        last = body;
        break;
      case 'run.arrived':
        // What it brought was merged elsewhere, the model that is stated too, unless a merge follows here.
        came = true;
        last = null;
        break;
      case 'run.created':
      case 'shares.stated':
      case 'device.bound':
      case 'device.revoked':
        break;
      default:
        throw wrong(`a ${body.type} proves nothing here`);
    }
  }
  if (!(came && last === null) && (last?.round !== claim.merged_rounds - 1 || last.model !== claim.model)) {
    throw wrong(`expected the merge of round ${claim.merged_rounds} into model ${claim.model} as the last merge`);
  }
  if (decisions.length !== submissions.size) {
    throw wrong(`expected one decision for each of ${submissions.size} submissions, got ${decisions.length}`);
  }
  let [count, amount, right] = [0, 0, 0];
  const used = new Set<RoundMerged | null>([last]);
  for (const [i, submission] of [...submissions.values()].entries()) {
    const merge = merges.get(`${submission.body.round} ${submission.body.attempt}`);
    if (!merge) throw wrong(`the merge that decided submission ${submission.id} is missing`);
    used.add(merge);
    const accepted = isMerged(merge, submission.id, decisions[i]);
    if (accepted === null) {
      throw new OwnershipError('bad-proof', `decision ${i} does not show whether ${submission.id} was merged`);
    }
    const given = verdicts.get(submission.id) ?? [];
    const mine = given.filter(({ author, body }) => own.has(author) && body.accepted === accepted);
    right += mine.length;
    if (!own.has(submission.author)) {
      if (mine.length === 0) throw wrong(`submission ${submission.id} is neither the holder's work nor judged by it`);
      continue;
    }
    // Verified: a validator drawn for it vouches for it, and the merge, which follows from all verdicts, accepted it.
    if (!accepted || !given.some(({ body }) => body.accepted)) {
      throw wrong(`submission ${submission.id} was not verified and merged`);
    }
    count++;
    amount += submission.body.amount;
  }
  used.delete(null);
  if (used.size !== merges.size) throw wrong('a merge decides no submission and no verdict of the holder');
  return { submissions: count, amount, verdicts: right };
}

function wrong(what: string): OwnershipError {
  return new OwnershipError('wrong-claim', what);
}

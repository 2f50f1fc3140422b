// Bytes of blobs that an hour moves, and through whom. Each byte that somebody sends somebody receives. Messages, headers and events come on top:
// some 3.5 kB up a worker and round (README, `bench traffic`).
import { type Fleet, judgesBytes, modelBytes, updateBytes } from './fleet.ts';
import type { Hour } from './hour.ts';
import type { Bytes } from './result.ts';

/** The judges of a work in a run with so many. */
export const seatsOf = ({ rules }: Pick<Fleet, 'rules'>, judges: number): number => Math.min(rules.judges, judges);

/** The bytes of an hour, of all runs. */
export function bytesOf({ crowds, shares, round, run, count }: Hour, fleet: Fleet): Bytes {
  const { hub, model, rules, runs } = fleet;
  const comings = crowds.reduce((sum, { arrivals, present }, i) => {
    return sum + (present > 0 ? (arrivals * (shares[i].workers + shares[i].judges)) / present : 0);
  }, 0);
  let [up, down, between] = [0, comings * modelBytes(model), 0];
  if (round) {
    const rounds = count * runs;
    const judges = run.judges.reduce((sum, n) => sum + n, 0);
    const works = round.handed_in;
    const verdicts = works * seatsOf(fleet, judges);
    if (hub.design === 'ring') between = works * rounds * round.up_bytes;
    else {
      up = rounds * (works * round.up_bytes + verdicts * rules.evidence_bytes);
      down += rounds * round.workers * round.down_bytes;
      down += rounds * (judges * judgesBytes(fleet, works * round.judged) + verdicts * updateBytes(model));
    }
  }
  return {
    ...{ up: up + between, down: down + between, between },
    ...{ hub_in: up * (1 - hub.store_share), store_in: up * hub.store_share },
    ...{ hub_out: down * (1 - hub.cdn_share), cdn_out: down * hub.cdn_share },
  };
}

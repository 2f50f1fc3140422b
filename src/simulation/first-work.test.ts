// First works with the real hub and peers: a worker without a record stops where it has to, and again when its work was refused.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { AnyGame } from '../games/game.ts';
import { CONNECTION_LIMITS } from '../hub/connection.ts';
import { isLiar, planOfRoster } from './cartel-roster.ts';
import { History } from './history.ts';
import { slightlyWrong } from './judged-tally.ts';
import type { PeerPlan } from './plan.ts';
import type { TallyTask } from './tally-game.ts';

/** Of 30 steps a tenth, and as many more as were merged before. */
const [FIRST, SECOND, THIRD, FOURTH, WHOLE] = [3, 6, 12, 24, 30];
/** The round in which a liar hands in what is wrong. */
const LIES_IN = 1;

describe('in a run of thirty steps', () => {
  /** By round, the steps of an honest worker and of one that lies once. */
  const steps = { honest: [] as number[], liar: [] as number[] };

  before(async () => {
    const devices = { honest_workers: 1, lying_workers: 1, honest_validators: 3, lying_validators: 0, ghosts: 0 };
    const playedBy = ({ plan }: { readonly plan: PeerPlan }, tally: AnyGame): AnyGame => ({
      ...tally,
      async perform(task: TallyTask, device, signal) {
        const claim = await tally.perform(task, device, signal);
        const lies = claim && isLiar(plan) && task.round.number === LIES_IN;
        return lies ? { ...claim, work: slightlyWrong(claim.work) } : claim;
      },
    });
    const world: History = new History(planOfRoster({ ...devices, named: true }, 6, 1), null, {
      ...{ limits: CONNECTION_LIMITS, snapshot_every: 100_000, watched: false, playedBy },
      onEvent({ author, body }) {
        if (body.type !== 'work.submitted') return;
        const { plan } = world.peers.find(({ identity }) => identity.id === author)!;
        steps[isLiar(plan) ? 'liar' : 'honest'].push(body.numbers.steps);
      },
    });
    assert.equal((await world.play()).violation, null);
  });

  test('a newcomer does a tenth of them, then each time twice as many, and then all', () => {
    assert.deepEqual(steps.honest, [FIRST, SECOND, THIRD, FOURTH, WHOLE, WHOLE]);
  });

  test('who was found to lie begins again', () => {
    assert.deepEqual(steps.liar, [FIRST, SECOND, FIRST, SECOND, THIRD, FOURTH]);
  });
});

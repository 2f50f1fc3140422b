// Generated events about the judging of served answers: limits that owners publish, and counts of verdicts, mostly such as may follow.
import type { AnswersJudged } from '../events/answers-judged.ts';
import type { Margins } from '../events/limits-published.ts';
import type { EventBody } from '../events.ts';
import type { NetworkState } from '../state.ts';
import type { Cast } from './cast.ts';

/** An author and what it says; null where there is nothing to say. */
export function drawJudging(
  cast: Cast,
  state: NetworkState,
  below: (bound: number) => number,
  fresh: string,
): readonly [author: string, body: EventBody] | null {
  const runs = [...state.runs.values()];
  if (below(3) > 0 || runs.length === 0) {
    const devices = drawRows(state, below, fresh);
    const number = state.judged.batches;
    return devices.length > 0 ? [cast.hub, { type: 'answers.judged', version: 1, number, devices }] : null;
  }
  const { id: run, owner, serving } = runs[below(runs.length)];
  const quantisation = (['f32', 'q8_0', 'q4_0'] as const)[below(3)];
  const about = { run, number: serving.published, quantisation, margins: drawMargins(below) };
  return [owner, { type: 'limits.published', version: 1, ...about }];
}

/** Some of those who are known; now and then one who is not. */
function drawRows(state: NetworkState, below: (bound: number) => number, fresh: string): AnswersJudged['devices'] {
  const known = [...state.devices.keys(), ...[...state.runs.values()].flatMap(({ peers }) => [...peers.keys()])];
  const rows = new Set([...known.filter(() => below(3) === 0), ...(below(12) === 0 ? [fresh] : [])]);
  return [...rows].sort().map((id) => [id, 1 + below(9), below(2)]);
}

const drawMargins = (below: (bound: number) => number): Margins => ({
  per_draw_micro: 200 + below(1000),
  allowance_micro: 50_000 + below(100_000),
  end_margin_micro: 100_000 + below(100_000),
  logprob_distance_micro: 2000 + below(1000),
  usual_per_draw_micro: 20 + below(1000),
  sum_micro: 200_000 + below(1_000_000),
});

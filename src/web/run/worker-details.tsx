// What opens under a device's row: everything that is known of it, its own numbers, and the way to its events.
import { useEffect, useState } from 'preact/hooks';
import { z } from 'zod';
import { inUnit, type Named, valueText, wordsOfNumbers } from '../../protocol/measures.ts';
import { type PeerView, type WorkerPoint, WorkerPointSchema } from '../../protocol/messages.ts';
import { formatBytes, formatCount, formatWhole, nameOf, runtimeName } from '../shell/format.ts';
import type { LiveRun } from '../shell/live.ts';
import { percent } from './brought.ts';
import { positionIn, rangeOf } from './chart-scales.ts';
import { doing } from './words.ts';

const AnswerSchema = z.object({ rounds: z.array(WorkerPointSchema) });
/** The small curve's own measure; it is stretched to its place. */
const BOX = { width: 400, height: 60 };

export interface Charted {
  readonly workers: readonly string[];
  toggle(worker: string): void;
}

export function WorkerDetails(props: { peer: PeerView; run: LiveRun; dish: number; charted: Charted }) {
  const { peer, run, dish, charted } = props;
  const rounds = useRounds(run, peer);
  const inChart = charted.workers.includes(peer.id);
  const { unit, numbers, metrics } = run.overview;
  // The chart's own scale fits only a number that is the same as the run's first metric.
  const inCommon = numbers.work.find(({ name }) => name === metrics[0].name);
  const drawn = inCommon ?? numbers.work[0] ?? { name: 'amount', words: 'work', unit };
  return (
    <div class="peer-more">
      <Facts peer={peer} run={run} />
      {peer.role === 'worker' && rounds && rounds.length > 1 && (
        <>
          <Curve rounds={rounds} drawn={drawn} dish={dish} />
          {inCommon && (
            <p class="actions">
              <button type="button" class="quiet" aria-pressed={inChart} onClick={() => charted.toggle(peer.id)}>
                {inChart ? 'Take its curve out of the chart' : 'Draw its curve in the chart'}
              </button>
            </p>
          )}
        </>
      )}
      {peer.role === 'worker' && rounds?.length === 0 && (
        <p class="fine">What it says of its work is drawn here once some of it is merged.</p>
      )}
    </div>
  );
}

function Facts({ peer, run }: { peer: PeerView; run: LiveRun }) {
  const { progress } = peer;
  const { merged_amount, numbers } = run.overview;
  const unit = nameOf(run.overview.unit);
  const speed = run.speeds.get(peer.id)?.amount_per_second ?? 0;
  const told = wordsOfNumbers(numbers.work, progress?.numbers ?? {});
  const facts: [string, string | null][] = [
    ['State', doing(peer, run.overview)],
    ['What holds it up', progress?.obstacle?.message ?? null],
    ['Computes with', peer.role === 'worker' ? runtimeName(peer.runtime) : null],
    ['Speed', speed > 0 ? `${formatCount(speed)} ${unit} a second` : null],
    [
      'This round',
      progress && progress.state === 'working'
        ? `${formatCount(progress.amount)} ${unit}${told && `, ${nameOf(told)}`}`
        : null,
    ],
    [
      'Rounds merged',
      peer.role === 'worker'
        ? `${formatWhole(peer.merged_submissions)}${peer.refused_submissions > 0 ? `; ${formatWhole(peer.refused_submissions)} not accepted` : ''}`
        : null,
    ],
    [
      'Brought',
      peer.role === 'worker'
        ? `${formatCount(peer.credit_amount)} checked ${unit}${merged_amount > 0 ? `, ${percent(peer.credit_amount / merged_amount)} of the run` : ''}`
        : 'checks what workers hand in',
    ],
    ['Sent', peer.bytes_up > 0 ? formatBytes(peer.bytes_up) : null],
    ['Received', peer.bytes_down > 0 ? formatBytes(peer.bytes_down) : null],
    ['Key', peer.id],
  ];
  return (
    <dl class="facts">
      {facts.map(
        ([name, value]) =>
          value !== null && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{name === 'Key' ? <code>{value}</code> : value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

function Curve({ rounds, drawn, dish }: { rounds: readonly WorkerPoint[]; drawn: Named; dish: number }) {
  const values = rounds.map(({ amount, numbers }) => inUnit(drawn.name, numbers[drawn.name] ?? amount));
  const [first, last] = [rounds[0], rounds.at(-1)!];
  const y = rangeOf(values, false, false);
  const path = rounds
    .map(({ merged_rounds }, i) => {
      const x = positionIn([first.merged_rounds, last.merged_rounds], merged_rounds) * BOX.width;
      return `${i === 0 ? 'M' : 'L'}${x.toFixed(1)} ${((1 - positionIn(y, values[i])) * BOX.height).toFixed(1)}`;
    })
    .join('');
  const [from, to] = [values[0], values.at(-1)!].map((value) => valueText(drawn.name, value));
  const words = `Its own ${nameOf(drawn.words)} went from ${from} in round ${first.merged_rounds} to ${to} in round ${last.merged_rounds}.`;
  return (
    <figure>
      <svg
        class={`worker-curve ink-${dish}`}
        viewBox={`0 0 ${BOX.width} ${BOX.height}`}
        preserveAspectRatio="none"
        aria-hidden="true"
      >
        <path d={path} />
      </svg>
      <figcaption class="fine">{words}</figcaption>
    </figure>
  );
}

/** What the worker said of its merged rounds; null until the hub has answered. */
function useRounds({ overview: { run } }: LiveRun, { id, merged_submissions }: PeerView) {
  const [rounds, setRounds] = useState<readonly WorkerPoint[] | null>(null);
  useEffect(() => {
    let current = true;
    fetch(`/runs/${run}/workers/${id}`)
      .then(async (response) => AnswerSchema.parse(await response.json()).rounds)
      .then(
        (answer) => current && setRounds(answer),
        () => {}, // the hub is away: the next merge asks again
      );
    return () => {
      current = false;
    };
  }, [run, id, merged_submissions]);
  return rounds;
}

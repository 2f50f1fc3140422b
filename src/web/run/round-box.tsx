// The progress of the run: merged rounds, the open round's phase, and how long it may still take.
import { formatDuration, formatWhole } from '../shell/format.ts';
import type { LiveRun } from '../shell/live.ts';
import { useNow } from '../shell/now.ts';

export function RoundBox({ run }: { run: LiveRun }) {
  const now_ms = useNow(250);
  const { overview } = run;
  const { phase, round, rounds, attempt } = overview;
  const left_ms = Math.max(0, overview.remaining_ms - (now_ms - run.heard_ms));
  const ahead = aheadOf(run);
  return (
    <section class="round" aria-labelledby="round-title">
      <h2 id="round-title">
        {formatWhole(round)} of {formatWhole(rounds)} rounds<small> merged</small>
      </h2>
      <progress max={rounds} value={round} aria-label={`${round} of ${rounds} rounds are merged`} />
      <p class="fine">
        {phase === 'finished'
          ? round < rounds
            ? 'It ended here.'
            : 'All rounds are merged.'
          : phase === 'paused'
            ? 'Its owner has paused it.'
            : ahead === null
              ? 'The time left: after a few rounds.'
              : `About ${formatDuration(ahead)} to go at this pace.`}
      </p>
      {(phase === 'working' || phase === 'judging' || phase === 'merging') && <h3>The open round</h3>}
      {phase !== 'finished' && phase !== 'paused' && <Stages run={run} left_ms={left_ms} />}
      {attempt > 0 && phase !== 'finished' && (
        <p class="fine">This round has begun {attempt + 1} times: one that brings no work begins again.</p>
      )}
    </section>
  );
}

/** The phases of a round, and the current one. */
function Stages({ run, left_ms }: { run: LiveRun; left_ms: number }) {
  const { overview, peers } = run;
  const { phase, round } = overview;
  const here = (role: string) => [...peers.values()].filter((peer) => peer.present && peer.role === role).length;
  const workers = here('worker');
  const validators = here('validator');
  return (
    <ol class="stages">
      <Stage name="Train" now={phase === 'working'} left_ms={left_ms} whole_ms={overview.round_ms}>
        {phase === 'gathering' && round === 0
          ? `waits for ${overview.workers_needed} ${overview.workers_needed === 1 ? 'worker' : 'workers'}; ${workers} ${workers === 1 ? 'is' : 'are'} here`
          : `${overview.submitted} of ${Math.max(workers, overview.submitted)} workers have handed in`}
      </Stage>
      <Stage name="Check" now={phase === 'judging'} left_ms={left_ms} whole_ms={overview.judging_ms}>
        {validators === 0 ? (
          <>
            No validator is here, so work is merged but not credited. Start one:{' '}
            <code>npx potluck join {location.origin} --role validator</code>
          </>
        ) : (
          `by ${validators} ${validators === 1 ? 'validator' : 'validators'}`
        )}
      </Stage>
      <Stage name="Merge" now={phase === 'merging'} left_ms={0} whole_ms={0}>
        Everybody computes the same next model.
      </Stage>
    </ol>
  );
}

function Stage(props: {
  name: string;
  now: boolean;
  left_ms: number;
  whole_ms: number;
  children: preact.ComponentChildren;
}) {
  const { name, now, left_ms, whole_ms, children } = props;
  const part = now && whole_ms > 0 ? left_ms / whole_ms : 0;
  return (
    <li class={now ? 'now' : undefined} aria-current={now ? 'step' : undefined}>
      <span class="stage-name">{name}</span>
      <span class="stage-what">{children}</span>
      <span class="stage-left">{now && whole_ms > 0 ? `${formatDuration(left_ms)} left` : ''}</span>
      {now && whole_ms > 0 && <span class="stage-bar" style={{ width: `${Math.min(1, part) * 100}%` }} />}
    </li>
  );
}

/** How long the rest takes at the pace of the last rounds; null where that is not known yet. */
function aheadOf({ rounds: points, overview }: LiveRun): number | null {
  const first = points.at(-10) ?? points[0];
  const last = points.at(-1);
  if (!first || !last || last.merged_rounds <= first.merged_rounds) return null;
  const ms_a_round = (last.time_ms - first.time_ms) / (last.merged_rounds - first.merged_rounds);
  return ms_a_round * (overview.rounds - overview.round);
}

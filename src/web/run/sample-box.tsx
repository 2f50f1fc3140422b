// What the model writes, with a slider through the rounds. The prompt is the same each time, so that the difference is what it has learned.
import { useEffect, useState } from 'preact/hooks';
import { z } from 'zod';
import { type SampleView, SampleViewSchema } from '../../protocol/messages.ts';
import { formatWhole, nameOf, short } from '../shell/format.ts';
import type { LiveRun } from '../shell/live.ts';
import type { Brought } from './brought.ts';
import { readable } from './sample-text.ts';
import { Braid } from './table.tsx';

const AnswerSchema = z.object({ samples: z.array(SampleViewSchema) });
/** A sample with a larger unreadable part is not shown as text. */
const MOSTLY = 0.4;

export function SampleBox({ run, brought }: { run: LiveRun; brought: Brought }) {
  const { samples, ask } = useSamples(run);
  /** null: always the newest. */
  const [chosen, choose] = useState<number | null>(null);
  const newest = samples.at(-1);
  if (!newest) return <NothingWritten run={run} />;
  const at = chosen === null ? samples.length - 1 : indexOfRound(samples, chosen);
  const earlier = samples.length > 1 || newest.merged_rounds > 0;
  return (
    <section class="sample" aria-labelledby="sample-title">
      <Braid brought={brought} />
      <div class="sample-words">
        <h2 id="sample-title" class="visually-hidden">
          What the model writes
        </h2>
        <Text sample={samples[at]} />
        {earlier && (
          <label class="rounds-slider">
            <span>What it wrote after</span>
            <input
              type="range"
              min={0}
              max={Math.max(1, samples.length - 1)}
              value={samples.length === 1 ? 1 : at}
              aria-valuetext={after(samples[at].merged_rounds)}
              onPointerDown={ask}
              onFocus={ask}
              onInput={({ currentTarget: { valueAsNumber: index } }) =>
                choose(index >= samples.length - 1 ? null : samples[index].merged_rounds)
              }
            />
            <output>{after(samples[at].merged_rounds)}</output>
          </label>
        )}
        <Source sample={samples[at]} run={run} />
      </div>
    </section>
  );
}

const after = (rounds: number): string => `${formatWhole(rounds)} ${rounds === 1 ? 'round' : 'rounds'}`;

/** The last sample up to a round. */
const indexOfRound = (samples: readonly SampleView[], round: number): number =>
  Math.max(
    0,
    samples.findLastIndex(({ merged_rounds }) => merged_rounds <= round),
  );

function Text({ sample }: { sample: SampleView }) {
  const { pieces } = readable(sample);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <blockquote class="text" tabIndex={0} aria-label="What the model wrote">
      {pieces.map(({ kind, text }, i) =>
        kind === 'written' ? (
          text
        ) : (
          <span key={i} class={kind}>
            {text}
          </span>
        ),
      )}
    </blockquote>
  );
}

function Source({ sample, run }: { sample: SampleView; run: LiveRun }) {
  const { by } = sample;
  const name = run.peers.get(by)?.name;
  const { unread } = readable(sample);
  return (
    <p class="fine">
      {unread > MOSTLY &&
        `A young model writes bytes at random: ${Math.round(100 * unread)} % of these are no text, and shown as dots. `}
      The grey words come from a text that no worker trains on; the model goes on from them. Written by validator{' '}
      {name === undefined || nameOf(name) === 'validator' ? '' : `${nameOf(name)} `}
      <code>{short(by)}</code>, on its word alone: the log does not prove a sample.
    </p>
  );
}

function NothingWritten({ run: { overview, peers } }: { run: LiveRun }) {
  if (overview.game !== 'pretrain' || (overview.phase === 'finished' && overview.round === 0)) return null;
  const validators = [...peers.values()].some(({ present, role }) => present && role === 'validator');
  return (
    <section class="sample" aria-label="What the model writes">
      <span class="braid" aria-hidden="true">
        <i class="nobody" />
      </span>
      <div class="sample-words">
        <p class="text nothing">Here it will write.</p>
        <p class="fine">
          {validators
            ? 'A validator lets the model write a few lines when it has measured it.'
            : overview.phase === 'finished'
              ? 'No validator was here to let the model write.'
              : 'A validator lets the model write a few lines after each round, and none is here.'}
        </p>
      </div>
    </section>
  );
}

/** Samples that come as they are made, and earlier ones, which are fetched when somebody moves the slider. */
function useSamples({ overview: { run }, samples: heard }: LiveRun) {
  const [before, setBefore] = useState<readonly SampleView[]>([]);
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    setBefore([]);
    setAsked(false);
  }, [run]);
  const ask = (): void => {
    if (asked) return;
    setAsked(true);
    fetch(`/runs/${run}/samples`)
      .then(async (response) => setBefore(AnswerSchema.parse(await response.json()).samples))
      .catch(() => setAsked(false)); // the hub is unreachable: the next use of the slider asks again
  };
  const byRound = new Map([...before, ...heard].map((sample) => [sample.merged_rounds, sample]));
  return { samples: [...byRound.values()].sort((a, b) => a.merged_rounds - b.merged_rounds), ask };
}

// A model in stages as it is trained: who holds which stage, what is under way between them, who has left and who took over.
import { useEffect, useState } from 'preact/hooks';
import { z } from 'zod';
import { countOf, formatWhole } from '../shell/format.ts';
import type { LiveRun } from '../shell/live.ts';
import { dishesOf } from './brought.ts';
import css from './pipeline-box.css?inline';
import { drawnOf, followPlaces, lossesOf, type Place, type StagePlaces, sumOf } from './stage-places.ts';
import { peerName } from './words.ts';

// With this code, because a run without stages needs neither. A style element would need an exception in the Content-Security-Policy.
const sheet = new CSSStyleSheet();
sheet.replaceSync(css);
document.adoptedStyleSheets.push(sheet);

/** What was seen of each run's round, also while another view was open. */
const seen = new Map<string, StagePlaces>();
/** Stages that stand beside each other where there is room. */
const MOST_IN_A_ROW = 4;
/** Dots and squares that are drawn; the number beside them is exact. */
const MOST_MARKS = 12;
const MOST_LOSSES = 3;

export function PipelineBox({ run, you }: { run: LiveRun; you: string | null }) {
  const { overview } = run;
  const words = useStageWords(overview.params);
  const followed = followPlaces(seen.get(overview.run) ?? null, overview, run.peers.values());
  seen.set(overview.run, followed);
  const dishes = dishesOf(run.peers.values());
  const stages = Array.from({ length: overview.stages ?? 0 }, (_, stage) =>
    followed.places.filter((place) => place.stage === stage),
  );
  const losses = lossesOf(overview, followed.places, peerName).slice(-MOST_LOSSES);
  return (
    <section class="pipeline" aria-labelledby="pipeline-title">
      <h2 id="pipeline-title">The model in {countOf(stages.length, 'stage')}</h2>
      <p class="fine">
        Each device holds one. Micro-batches go forward through all stages, and come back as gradients the same way.
      </p>
      <ol class={stages.length <= MOST_IN_A_ROW ? 'cut in-a-row' : 'cut'}>
        {stages.map((places, stage) => (
          <li key={stage}>
            <Stage stage={stage} words={words[stage]} places={places} all={followed.places} dishes={dishes} you={you} />
            {stage < stages.length - 1 && <Crossing places={places} dishes={dishes} />}
          </li>
        ))}
      </ol>
      <div role="status" class="losses">
        {losses.map((words) => (
          <p key={words}>{words}</p>
        ))}
      </div>
    </section>
  );
}

type Dishes = ReturnType<typeof dishesOf>;

function Stage(props: {
  stage: number;
  words: string | undefined;
  places: readonly Place[];
  all: readonly Place[];
  dishes: Dishes;
  you: string | null;
}) {
  const { stage, words, places, all, dishes, you } = props;
  const { drawn, rest } = drawnOf(places, you);
  const elsewhere = (id: string) => all.find(({ peer, fate }) => peer.id === id && fate === 'here')?.stage;
  return (
    <div class="cut-stage">
      <h3>
        Stage {stage + 1}
        {words && <small> {words}</small>}
      </h3>
      <p class="fine">{batchesWords(sumOf(places).micro_batches)} in this round</p>
      {!places.some(({ fate }) => fate === 'here') && <p class="nobody">Nobody holds it now.</p>}
      <ul>
        {drawn.map((place) => (
          <li key={place.peer.id} class={place.fate}>
            <span class={`dish dish-${dishes.get(place.peer.id) ?? 'rest'}`} />
            <span class="who">
              {peerName(place.peer)}
              {place.peer.id === you && <small> you</small>}
            </span>
            <span class="told">
              <Told place={place} elsewhere={elsewhere(place.peer.id)} />
            </span>
          </li>
        ))}
        {rest.length > 0 && (
          <li class="rest">
            <span class="dish dish-rest" />
            <span class="who">{formatWhole(rest.length)} more</span>
            <span class="told">{trafficWords(sumOf(rest))}</span>
          </li>
        )}
      </ul>
    </div>
  );
}

const batchesWords = (count: number): string => (count === 1 ? '1 micro-batch' : `${formatWhole(count)} micro-batches`);

/** A device's own line. */
function Told({ place, elsewhere }: { place: Place; elsewhere: number | undefined }) {
  const { fate, after, traffic } = place;
  if (fate === 'gone') return <>has left after {formatWhole(traffic.micro_batches)}</>;
  if (fate === 'moved') {
    return <>{elsewhere === undefined ? 'was moved, and has left' : `was moved to stage ${elsewhere + 1}`}</>;
  }
  return (
    <>
      {trafficWords(traffic)}
      <span class="queue" aria-hidden="true">
        {Array.from({ length: Math.min(MOST_MARKS, traffic.queued) }, (_, i) => (
          <i key={i} />
        ))}
      </span>
      {after && <b>took over from {peerName(after)}</b>}
    </>
  );
}

const trafficWords = ({ micro_batches, under_way, queued }: Place['traffic']): string =>
  [
    `${formatWhole(micro_batches)} done`,
    under_way > 0 && `${formatWhole(under_way)}\u00a0under way`,
    queued > 0 && `${formatWhole(queued)}\u00a0waiting`,
  ]
    .filter(Boolean)
    .join(', ');

/** What is on its way from a stage's devices to the next stage or back, in their colours. */
function Crossing({ places, dishes }: { places: readonly Place[]; dishes: Dishes }) {
  const { under_way } = sumOf(places);
  const marks = places
    .flatMap(({ peer, traffic }) => Array.from({ length: traffic.under_way }, () => dishes.get(peer.id) ?? 'rest'))
    .slice(0, MOST_MARKS);
  return (
    <p class="crossing">
      <span class="dots" aria-hidden="true">
        {marks.map((dish, i) => (
          <i key={i} class={`dish-${dish}`} />
        ))}
      </span>
      <svg class="arrow" viewBox="0 0 48 10" aria-hidden="true">
        <path d="M0 5H46M41 1l5 4-5 4" />
      </svg>
      <span>{under_way === 0 ? 'none under way' : `${formatWhole(under_way)} under way`}</span>
    </p>
  );
}

const WordsSchema = z.array(z.string());

/** What each stage has of the model; empty until it is known, and where the settings cannot be read. */
function useStageWords(params: string): readonly string[] {
  const [words, setWords] = useState<readonly string[]>([]);
  useEffect(() => {
    const worker = new Worker(new URL('./stage-words-worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }) => {
      setWords(WordsSchema.parse(data));
      worker.terminate();
    };
    fetch(`/blobs/${params}`)
      .then((response) => response.json())
      .then(
        (settings) => worker.postMessage(settings),
        () => {}, // the hub is away
      );
    return () => worker.terminate();
  }, [params]);
  return words;
}

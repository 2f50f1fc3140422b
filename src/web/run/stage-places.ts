// Who has held which stage of a model since the round began, as far as this page has seen it: who is there, who has left, who took over from whom.
import { type Traffic, trafficOf } from '../../games/pipeline/traffic.ts';
import type { StageRange } from '../../model/pipeline/split.ts';
import type { PeerView, RunOverview } from '../../protocol/messages.ts';

/** A device in a stage. One that was moved in a round has a place in both. */
export interface Place {
  readonly peer: PeerView;
  readonly stage: number;
  /** `gone`: it is not here any more; `moved`: it holds another stage now. */
  readonly fate: 'here' | 'gone' | 'moved';
  /** The device that had left the stage before this one came. */
  readonly after: PeerView | null;
  /** What it told last of this round. */
  readonly traffic: Traffic;
}

export interface StagePlaces {
  /** The round's attempt; the time before it begins is apart, because workers are spread anew when it opens. */
  readonly of: string;
  readonly places: readonly Place[];
}

type RoundOf = Pick<RunOverview, 'round' | 'attempt' | 'phase'>;
const NOTHING: Traffic = trafficOf({});

/** What is known with the newest views of all peers: nobody who leaves in a round is forgotten before it is over. */
export function followPlaces(before: StagePlaces | null, run: RoundOf, peers: Iterable<PeerView>): StagePlaces {
  const of = `${run.round} ${run.attempt} ${run.phase === 'gathering'}`;
  const holders = new Map([...peers].filter(holdsStage).map((peer) => [peer.id, peer]));
  const known = before?.of === of ? before.places : [];
  const places = known.map((place) => {
    const holder = holders.get(place.peer.id);
    if (holder?.stage === place.stage) return placeOf(run, holder, place);
    const fate = holder || place.fate === 'moved' ? 'moved' : 'gone';
    // What went through it came to nothing more, and nobody waits there now.
    return { ...place, fate, traffic: { ...place.traffic, under_way: 0, queued: 0 } } as const;
  });
  for (const peer of holders.values()) {
    if (places.some(({ peer: { id }, stage }) => id === peer.id && stage === peer.stage)) continue;
    places.push(placeOf(run, peer, { after: freeAfter(places, peer.stage), traffic: NOTHING }));
  }
  return { of, places };
}

const holdsStage = (peer: PeerView): peer is PeerView & { readonly stage: number } =>
  peer.present && peer.stage !== undefined;

/** A device that is in a stage. While it tells nothing of the round, because its work is handed in, what it told last stands. */
function placeOf(
  run: RoundOf,
  peer: PeerView & { readonly stage: number },
  { after, traffic }: Pick<Place, 'after' | 'traffic'>,
): Place {
  const { progress, stage } = peer;
  const told = progress?.round === run.round ? progress : null;
  const isTold = told?.state === 'working' || told?.state === 'sending';
  const quiet = { ...traffic, under_way: 0, queued: 0 };
  return { peer, stage, fate: 'here', after, traffic: isTold ? trafficOf(told.numbers) : quiet };
}

/** Of a stage, the first that has left and in whose stead nobody has come yet. */
function freeAfter(places: readonly Place[], stage: number): PeerView | null {
  const there = places.filter((place) => place.stage === stage);
  const taken = new Set(there.map(({ after }) => after?.id));
  return there.find(({ fate, peer }) => fate === 'gone' && !taken.has(peer.id))?.peer ?? null;
}

/** What all devices of a stage tell together. */
export function sumOf(places: readonly Place[]): Traffic {
  const sum = (name: keyof Traffic): number => places.reduce((all, { traffic }) => all + traffic[name], 0);
  return { micro_batches: sum('micro_batches'), under_way: sum('under_way'), queued: sum('queued') };
}

/** Rows that a stage has; more of them say nothing to anybody. */
const MOST_ROWS = 8;

/** The places of a stage that are drawn, in their order, and all the others: who has left or come in this round is drawn first, and who looks. */
export function drawnOf(places: readonly Place[], you: string | null): { drawn: Place[]; rest: Place[] } {
  if (places.length <= MOST_ROWS) return { drawn: [...places], rest: [] };
  const isNews = ({ peer, fate, after }: Place): boolean => peer.id === you || fate !== 'here' || after !== null;
  const wanted = [...places.filter(isNews), ...places.filter((place) => !isNews(place))];
  const chosen = new Set(wanted.slice(0, MOST_ROWS - 1));
  const drawn = places.filter((place) => chosen.has(place));
  return { drawn, rest: places.filter((place) => !chosen.has(place)) };
}

/** Who has left in this round, and while it is worked on how it goes on, in a sentence for each. */
export function lossesOf(
  { phase }: Pick<RunOverview, 'phase'>,
  places: readonly Place[],
  nameOf: (peer: PeerView) => string,
): string[] {
  return places.flatMap(({ peer, stage, fate }) => {
    if (fate !== 'gone') return [];
    const fact = `${nameOf(peer)} has left stage ${stage + 1}`;
    if (phase !== 'working') return `${fact}.`;
    const there = places.filter((place) => place.stage === stage);
    const next = there.find(({ after }) => after?.id === peer.id);
    const others = there.filter((place) => place.fate === 'here').length;
    const goesOn = next
      ? `${nameOf(next.peer)} took over from it.`
      : others > 0
        ? `what it had goes to the other ${others === 1 ? 'device' : `${others} devices`} there.`
        : 'nobody holds it now, and the others wait.';
    return `${fact}: ${goesOn}`;
  });
}

/** Layers in words: "embedding, layers 1–2"; counted from 1. */
export function rangeWords({ embedding, first, end, head }: StageRange): string {
  const layers = end - first === 0 ? '' : end - first === 1 ? `layer ${end}` : `layers ${first + 1}–${end}`;
  return [embedding && 'embedding', layers, head && 'head'].filter(Boolean).join(', ');
}

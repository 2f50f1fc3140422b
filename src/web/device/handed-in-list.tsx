// This tab's submissions, each with its result in plain words, and on request the full calculation from the log.
import { useEffect, useRef, useState } from 'preact/hooks';
import { askLog } from '../ledger/ask-log.ts';
import type { LogNews } from '../ledger/log-messages.ts';
import { countOf, formatBytes, formatWhole, nameOf } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import { readWorks } from '../tab/history.ts';
import type { ContributionState, HandedIn } from '../tab/state.ts';
import { openTabStore } from '../tab/store.ts';
import { refusedWords } from './refused-words.ts';

/** The number of newest submissions that are shown; a button shows the others. */
const SHOWN = 8;

/** `begun`: whether this tab has worked since it was opened. */
export function HandedInList(given: { run: string; state: ContributionState; hub: string | null; begun: boolean }) {
  const { run, state, hub, begun } = given;
  const { refused } = state;
  const [all, setAll] = useState(false);
  const handed_in = useRemembered(run, state.handed_in);
  if (handed_in.length === 0 && refused.length === 0) {
    return begun ? <p class="empty-line">Nothing is handed in yet: that happens at the end of a round.</p> : null;
  }
  return (
    <section aria-labelledby="handed-title">
      <h2 id="handed-title">
        Work handed in <small>{countOf(handed_in.length, 'piece')} remembered by this browser</small>
      </h2>
      <ol class="handed">
        {refused.toReversed().map((one) => (
          <Refused key={`${one.round} ${one.message}`} one={one} />
        ))}
        {handed_in
          .toReversed()
          .slice(0, all ? handed_in.length : SHOWN)
          .map((work) => (
            <Piece key={work.submission} work={work} hub={hub} />
          ))}
      </ol>
      {!all && handed_in.length > SHOWN && (
        <p class="actions">
          <button type="button" onClick={() => setAll(true)}>
            Show all {countOf(handed_in.length, 'piece')}
          </button>
        </p>
      )}
    </section>
  );
}

/** This browser's submissions in a run: those remembered from earlier visits, and those of now. */
function useRemembered(run: string, now: readonly HandedIn[]): readonly HandedIn[] {
  const [kept, setKept] = useState<readonly HandedIn[]>([]);
  useEffect(() => {
    let wanted = true;
    openTabStore()
      .then((store) => readWorks(store, run))
      .then(
        (works) => wanted && setKept(works),
        () => {}, // a browser that stores nothing
      );
    return () => {
      wanted = false;
    };
  }, [run, now]);
  const heard = new Set(now.map(({ submission }) => submission));
  return [...kept.filter(({ submission }) => !heard.has(submission)), ...now];
}

function Refused({ one }: { one: ContributionState['refused'][number] }) {
  const { words, calm } = refusedWords(one);
  return (
    <li class={calm ? undefined : 'bad'}>
      <b>Round {one.round}</b> {words} <small>({one.code})</small>
    </li>
  );
}

/** The result of a submission, in a sentence. */
export function outcomeOf({ outcome, verdicts }: HandedIn): string {
  const yes = verdicts.filter(({ accepted }) => accepted).length;
  const votes =
    verdicts.length === 0
      ? ''
      : ` by ${yes} of ${verdicts.length} ${verdicts.length === 1 ? 'validator' : 'validators'}`;
  switch (outcome) {
    case 'merged':
      return verdicts.length === 0
        ? 'It is part of the model; no validator had judged it, so it earns nothing.'
        : `Accepted${votes}: it is part of the model.`;
    case 'dropped':
      return verdicts.length === 0
        ? 'The round was merged without it: nobody had judged it in time.'
        : `The round was merged without it: accepted${votes}, but more than half is needed.`;
    case 'decided':
      return 'The round is merged; “Why this score?” reads in the log whether this is part of it.';
    case 'open':
      return verdicts.length === 0
        ? 'Handed in; no verdict is known here yet.'
        : `Accepted${votes} so far; the round is not merged yet.`;
  }
}

function Piece({ work, hub }: { work: HandedIn; hub: string | null }) {
  const [news, setNews] = useState<LogNews | null>(null);
  const [asking, setAsking] = useState(false);
  const giveUp = useRef(() => {});
  useEffect(() => () => giveUp.current(), []);
  const ask = (): void => {
    if (hub === null) return;
    setAsking(true);
    giveUp.current = askLog({ url: location.origin, hub }, { kind: 'why', submission: work.submission }, (answer) => {
      if (answer.kind === 'progress') return;
      setNews(answer);
      setAsking(false);
    });
  };
  return (
    <li class={work.outcome}>
      <p>
        <b>Round {work.round}</b> {outcomeOf(work)}
      </p>
      <p class="fine">
        {formatWhole(work.amount)} {nameOf(work.unit)} in {formatBytes(work.size_bytes)} ·{' '}
        <Link to={{ view: 'ledger', event: work.index }}>event {formatWhole(work.index)}</Link>
        {news === null && (
          <>
            {' · '}
            <button type="button" class="text" onClick={ask} disabled={asking}>
              {asking ? 'replaying the log …' : 'Why this score?'}
            </button>
          </>
        )}
      </p>
      {news?.kind === 'why' && <pre class="why">{news.sentences.join('\n')}</pre>}
      {(news?.kind === 'problem' || news?.kind === 'untrue') && <p class="note">{news.message}</p>}
    </li>
  );
}

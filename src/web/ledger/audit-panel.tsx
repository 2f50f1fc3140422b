// "Audit everything": the whole log replayed in a Worker of this browser, and what came out, in words.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { AuditReport } from '../../peer/audit.ts';
import { formatWhole } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import { askLog } from './ask-log.ts';
import type { LogNews } from './log-messages.ts';

export function AuditPanel({ hub, size }: { hub: string; size: number }) {
  const [news, setNews] = useState<LogNews | null>(null);
  const giveUp = useRef(() => {});
  useEffect(() => () => giveUp.current(), []);

  const begin = (models: boolean): void => {
    giveUp.current();
    setNews({ kind: 'progress', events: 0, size, models: 0 });
    giveUp.current = askLog({ url: location.origin, hub }, { kind: 'audit', models }, setNews);
  };

  if (news?.kind === 'progress') {
    return (
      <section class="audit" aria-label="Audit">
        <progress max={Math.max(1, news.size)} value={news.events} aria-label="Events checked" />
        <p role="status">
          {formatWhole(news.events)} of {formatWhole(news.size)} events checked
          {news.models > 0 && `, ${formatWhole(news.models)} model versions computed`} …
        </p>
        <button
          type="button"
          onClick={() => {
            giveUp.current();
            setNews(null);
          }}
        >
          Stop
        </button>
      </section>
    );
  }
  return (
    <section class="audit" aria-label="Audit">
      {news?.kind === 'audited' && <AllTrue report={news.report} />}
      {news?.kind === 'untrue' && (
        <div class="verdict bad" role="alert">
          <b>
            {news.index === null ? 'Something is untrue.' : `The first untruth is event ${formatWhole(news.index)}.`}
          </b>{' '}
          {news.message} <small>({news.code})</small>{' '}
          {news.index !== null && <Link to={{ view: 'ledger', event: news.index }}>Open it</Link>}
        </div>
      )}
      {news?.kind === 'problem' && (
        <p class="verdict bad" role="alert">
          <b>The audit could not be finished.</b> {news.message} That does not say that anything is untrue.
        </p>
      )}
      <p class="actions">
        <button type="button" class="primary" onClick={() => begin(true)}>
          {news ? 'Audit again' : 'Audit everything'}
        </button>
        <button type="button" onClick={() => begin(false)}>
          Without the models
        </button>
        <small>
          Replays the log here: every signature, every step, every share; with the models also every update, merged
          anew.
        </small>
      </p>
    </section>
  );
}

function AllTrue({ report }: { report: AuditReport }) {
  const { events, runs, shares, models, unchecked, seconds, events_per_second } = report;
  return (
    <div class="verdict good" role="status">
      <b>All of it is true.</b> {formatWhole(events)} events with their signatures and places, {formatWhole(runs)}{' '}
      {runs === 1 ? 'run' : 'runs'}, {formatWhole(shares.held)} shares held and {formatWhole(shares.unearned)} unearned
      of {formatWhole(shares.emitted)} promised
      {models &&
        `, ${formatWhole(models.recomputed)} model versions computed anew from ${formatWhole(models.submissions)} updates`}
      . Checked by this browser in {seconds.toFixed(1)} s ({formatWhole(events_per_second)} events a second).
      {unchecked.length > 0 && (
        <ul>
          {unchecked.map((what) => (
            <li key={what}>Not checked: {what}.</li>
          ))}
        </ul>
      )}
    </div>
  );
}

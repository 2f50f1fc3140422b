// "Audit everything": replays the whole log in a Worker of this browser, and states the result in words.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { AuditReport } from '../../audit/audit.ts';
import { isOfThisBuild } from '../../games/registry.ts';
import { formatDuration, formatWhole } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import type { Live } from '../shell/live.ts';
import { askLog } from './ask-log.ts';
import { doneOf, timeLeft_ms } from './audit-progress.ts';
import type { LogNews } from './log-messages.ts';

export function AuditPanel({ hub, live }: { hub: string; live: Live }) {
  const [news, setNews] = useState<LogNews | null>(null);
  const [begun, setBegun] = useState({ ms: 0, models: 0 });
  const giveUp = useRef(() => {});
  useEffect(() => () => giveUp.current(), []);

  const begin = (models: boolean): void => {
    giveUp.current();
    setBegun({ ms: performance.now(), models: models ? modelsOf(live) : 0 });
    setNews({ kind: 'progress', events: 0, size: live.events, models: 0 });
    giveUp.current = askLog({ url: location.origin, hub }, { kind: 'audit', models }, setNews);
  };

  if (news?.kind === 'progress') {
    const done = doneOf(news, begun.models);
    const left_ms = timeLeft_ms(done, performance.now() - begun.ms);
    return (
      <section class="audit" aria-label="Audit">
        <progress max={1} value={done} aria-label="Checked" />
        <p role="status">
          {formatWhole(news.events)} of {formatWhole(news.size)} events checked
          {begun.models > 0 &&
            `, ${formatWhole(news.models)} of about ${formatWhole(begun.models)} model versions computed`}
          {left_ms !== null && `; about ${formatDuration(left_ms)} left`} …
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
          <b>The audit could not be finished:</b> {news.message}. That does not say that anything is untrue.
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

/** Model versions in the log, of games that this page can compute. */
function modelsOf({ runs }: Live): number {
  const overviews = [...runs.values()].map(({ overview }) => overview);
  return overviews.reduce((sum, { game, round }) => sum + (isOfThisBuild(game) ? round : 0), 0);
}

function AllTrue({ report }: { report: AuditReport }) {
  const { events, runs, shares, models, answers, warnings, unchecked, cannot_tell, witnesses } = report;
  const { seconds, events_per_second, threads } = report;
  return (
    <div class="verdict good" role="status">
      <b>All of it is true.</b> {formatWhole(events)} events with their signatures and places, {formatWhole(runs)}{' '}
      {runs === 1 ? 'run' : 'runs'}, {formatWhole(shares.held)} shares held and {formatWhole(shares.unearned)} unearned
      of {formatWhole(shares.emitted)} promised
      {models &&
        `, ${formatWhole(models.recomputed)} model versions computed again from ${formatWhole(models.submissions)} updates`}
      {answers !== null &&
        answers.receipts > 0 &&
        `, ${formatWhole(answers.receipts)} receipts of answers with both signatures`}
      . Checked by this browser in {seconds.toFixed(1)} s ({formatWhole(events_per_second)} events a second
      {threads > 1 && `, ${threads} threads`}).
      {witnesses.length > 0 &&
        ` Cosigned by ${witnesses.length === 1 ? 'one witness' : `${formatWhole(witnesses.length)} witnesses`}.`}
      {warnings.length + unchecked.length + cannot_tell.length > 0 && (
        <ul>
          {warnings.map((what) => (
            <li key={what}>A warning: {what}.</li>
          ))}
          {unchecked.map((what) => (
            <li key={what}>Not checked: {what}.</li>
          ))}
          {cannot_tell.map((what) => (
            <li key={what}>Cannot be told: {what}.</li>
          ))}
        </ul>
      )}
    </div>
  );
}

// What the hub's own address shows: its one run, a choice where there are several, or how to begin where there is none.

import { PHASE_WORDS } from '../protocol/phase-words.ts';
import type { ViewProps } from './app.tsx';
import { RunView } from './run/run-view.tsx';
import { CopyBox } from './shell/copy-box.tsx';
import { formatCount, nameOf } from './shell/format.ts';
import { Link } from './shell/link.tsx';

export function HomeView(props: ViewProps) {
  const { live } = props;
  if (live.connection === 'connecting' || (live.runs.size === 0 && live.connection === 'away')) {
    return <p class="loading">{live.connection === 'away' ? 'Waiting for the hub …' : 'Asking the hub …'}</p>;
  }
  if (live.runs.size === 0) return <NoRuns />;
  if (live.runs.size === 1) return <RunView {...props} run={live.runs.keys().next().value!} />;
  return (
    <section>
      <h1>Runs on this hub</h1>
      <ul class="runs">
        {[...live.runs.values()].reverse().map(({ overview, peers }) => (
          <li key={overview.run}>
            <Link to={{ view: 'run', run: overview.run }}>
              <span class="name">{nameOf(overview.name)}</span>
              <span class={`phase ${overview.phase}`}>{PHASE_WORDS[overview.phase]}</span>
              <span class="figure">
                {overview.validation_loss?.toFixed(3) ?? '–'}
                <small>loss</small>
              </span>
              <span class="figure">
                {overview.round}
                <small>of {overview.rounds} rounds</small>
              </span>
              <span class="figure">
                {formatCount([...peers.values()].filter((peer) => peer.present).length)}
                <small>devices here</small>
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}

function NoRuns() {
  return (
    <section class="empty">
      <h1>No run on this hub yet</h1>
      <p>A run is a model in training: somebody describes it and brings text, devices come and learn.</p>
      <p class="actions">
        <Link to={{ view: 'start' }} class="button">
          Start a run here
        </Link>
      </p>
      <p>Or from a terminal:</p>
      <CopyBox text={`npx potluck run create --hub ${location.origin} --data ./my-texts`} />
    </section>
  );
}

// A run as it happens: how well the model does, how fast it learns, what it costs, and who is at work.
import { useState } from 'preact/hooks';
import { PHASE_WORDS } from '../../protocol/phase-words.ts';
import type { ViewProps } from '../app.tsx';
import { formatBytes, formatCount, formatWhole, nameOf, short } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import type { LiveRun } from '../shell/live.ts';
import { LossChart } from './loss-chart.tsx';
import { PeerList } from './peer-list.tsx';
import { RoundBox } from './round-box.tsx';
import { SampleBox } from './sample-box.tsx';
import { ShareDialog } from './share-dialog.tsx';

export function RunView({ live, run: id }: ViewProps & { run: string }) {
  const run = live.runs.get(id);
  if (!run) return <MissingRun id={id} connected={live.connection === 'live'} />;
  const { overview } = run;
  return (
    <article class="run">
      <Headline run={run} />
      {overview.problem !== null && (
        <p class="verdict bad" role="alert">
          {overview.problem}
        </p>
      )}
      <Figures run={run} />
      <div class="columns">
        <LossChart run={run} version={live.version} />
        <RoundBox run={run} />
      </div>
      <SampleBox run={run} />
      <PeerList run={run} version={live.version} />
      <footer class="fine">
        Run <code>{short(overview.run)}</code> by <code>{short(overview.owner)}</code> · present model{' '}
        <code>{short(overview.model)}</code> · {formatCount(live.events)} events in the{' '}
        <Link to={{ view: 'ledger', event: null }}>ledger</Link>, each of which you can check
      </footer>
    </article>
  );
}

function Headline({ run: { overview } }: { run: LiveRun }) {
  const [sharing, setSharing] = useState(false);
  return (
    <div class="headline">
      <h1>{nameOf(overview.name)}</h1>
      <span class={`phase ${overview.phase}`}>{PHASE_WORDS[overview.phase]}</span>
      <span class="actions">
        <button type="button" onClick={() => setSharing(true)}>
          Share
        </button>
        {overview.phase === 'finished' ? (
          <Link to={{ view: 'play', run: overview.run }} class="button primary">
            Play with the model
          </Link>
        ) : (
          <Link to={{ view: 'device', run: overview.run }} class="button primary">
            Lend this device
          </Link>
        )}
      </span>
      {sharing && <ShareDialog run={overview} onClose={() => setSharing(false)} />}
    </div>
  );
}

function Figures({ run }: { run: LiveRun }) {
  const { overview, peers } = run;
  const { validation_loss: loss, first_validation_loss: first, bytes_submitted, dense_bytes } = overview;
  const here = [...peers.values()].filter((peer) => peer.present).length;
  const ratio = bytes_submitted > 0 && dense_bytes > 0 ? dense_bytes / bytes_submitted : null;
  return (
    <dl class="figures">
      <div class="hero">
        <dt>Validation loss</dt>
        <dd>
          {loss === null ? '–' : loss.toFixed(3)}
          <small>
            {loss === null || first === null
              ? 'a validator measures it first'
              : loss === first
                ? 'before the first round'
                : `from ${first.toFixed(3)}, on text that nobody trains on`}
          </small>
        </dd>
      </div>
      <div>
        <dt>Speed</dt>
        <dd>
          {run.tokens_per_second > 0 ? formatCount(run.tokens_per_second) : '–'}
          <small>tokens a second</small>
        </dd>
      </div>
      <div>
        <dt>Learned from</dt>
        <dd>
          {formatCount(overview.merged_tokens)}
          <small>tokens</small>
        </dd>
      </div>
      <div>
        <dt>Sent</dt>
        <dd>
          {ratio === null ? '–' : `${ratio.toFixed(0)}×`}
          <small>
            {ratio === null
              ? 'nothing yet'
              : `less than dense: ${formatBytes(bytes_submitted)}, not ${formatBytes(dense_bytes)}`}
          </small>
        </dd>
      </div>
      <div>
        <dt>Devices</dt>
        <dd>
          {formatWhole(here)}
          <small>here, {formatWhole(peers.size)} ever</small>
        </dd>
      </div>
    </dl>
  );
}

function MissingRun({ id, connected }: { id: string; connected: boolean }) {
  if (!connected) return <p class="loading">Asking the hub …</p>;
  return (
    <section class="empty">
      <h1>This hub has no such run</h1>
      <p>
        The link names run <code>{short(id)}</code>. It may be on another hub.
      </p>
      <p>
        <Link to={{ view: 'home' }}>What is on this hub</Link>
      </p>
    </section>
  );
}

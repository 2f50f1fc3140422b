// A run as it happens: in a sentence, in what its model writes, in who brought how much; then figures, curves and devices.

import { useEffect, useState } from 'preact/hooks';
import { trainsOnText } from '../../games/text-training.ts';
import { valueText } from '../../protocol/measures.ts';
import type { MetricView, RunOverview } from '../../protocol/messages.ts';
import { atWork } from '../shell/at-work.ts';
import { capital, formatBytes, formatCount, formatWhole, nameOf, short } from '../shell/format.ts';
import { LazyView, loadView } from '../shell/lazy-view.tsx';
import { Link } from '../shell/link.tsx';
import type { Live, LiveRun, ViewProps } from '../shell/live.ts';
import { useOwnIds } from '../shell/own-ids.ts';
import { useStore } from '../shell/store.ts';
import { type Brought, broughtBy } from './brought.ts';
import { MetricChart } from './metric-chart.tsx';
import { PeerList } from './peer-list.tsx';
import { RoundBox } from './round-box.tsx';
import './run.css';
import { SampleBox } from './sample-box.tsx';
import { describeRun } from './sentence.ts';
import { Table } from './table.tsx';
import { phaseWord } from './words.ts';

// What few people press is fetched when they do, what few runs have when one has it.
const shareDialog = loadView(() => import('./share-dialog.tsx'), 'ShareDialog');
const ownerTools = loadView(() => import('./owner-tools.tsx'), 'OwnerTools');
const pipelineBox = loadView(() => import('./pipeline-box.tsx'), 'PipelineBox');
const takeHome = loadView(() => import('./take-home.tsx'), 'TakeHome');

export function RunView({ live, run: id }: ViewProps & { run: string }) {
  const own = useOwnIds();
  const work = useStore(atWork);
  const [charted, setCharted] = useState<readonly string[]>([]);
  useEffect(() => setCharted([]), [id]);
  const run = live.runs.get(id);
  if (!run) return <MissingRun id={id} connected={live.connection === 'live'} />;
  const { overview } = run;
  const you = work?.state.device ?? own.device;
  const brought = broughtBy(run.peers.values(), you);
  return (
    <article class="run">
      <Opening run={run} brought={brought} yours={own.owner === overview.owner} connection={live.connection} />
      {overview.stages && overview.phase !== 'finished' && (
        <LazyView connection={live.connection} load={pipelineBox} props={{ run, you }} />
      )}
      {!cameToNothing(overview) && (
        <>
          <Figures run={run} />
          <MetricChart run={run} live={live} workers={charted} />
        </>
      )}
      <PeerList
        run={run}
        version={live.version}
        you={you}
        connection={live.connection}
        charted={{
          workers: charted,
          toggle: (id) => setCharted(charted.includes(id) ? charted.filter((other) => other !== id) : [...charted, id]),
        }}
      />
      {trainsOnText(overview.game) && overview.round > 0 && <Home run={overview} connection={live.connection} />}
      <footer class="fine">
        Run <code>{short(overview.run)}</code> by owner <code>{short(overview.owner)}</code> · present model{' '}
        <code>{short(overview.model)}</code> · the <Link to={{ view: 'ledger', event: null }}>ledger</Link> has{' '}
        {formatWhole(live.events)} events, and you can check each of them
      </footer>
    </article>
  );
}

/** Ended before its first merge: there is nothing to show beside the words that say so. */
const cameToNothing = ({ phase, round }: RunOverview): boolean => phase === 'finished' && round === 0;

/** What comes out and who brought it, with the one thing to press; beside it, where the run is. */
function Opening(props: { run: LiveRun; brought: Brought; yours: boolean; connection: Live['connection'] }) {
  const { run, brought, yours, connection } = props;
  const { overview } = run;
  const { sentence, next, action } = describeRun(overview, run.peers.values());
  return (
    <>
      <div class="opening">
        <div class="headline">
          <h1>{nameOf(overview.name)}</h1>
          <span class={`phase ${overview.phase}`}>{phaseWord(overview)}</span>
        </div>
        <p class="sentence">{sentence}</p>
        {next && <p class="lead">{next}</p>}
        {overview.problem !== null && (
          <p class="note" role="alert">
            {capital(overview.problem)}.{' '}
            {overview.moved && <a href={`${overview.moved.url}/r/${overview.run}`}>There</a>}
          </p>
        )}
      </div>
      <div class="columns">
        <div class="pot-luck">
          {!cameToNothing(overview) && (
            <div>
              <SampleBox run={run} brought={brought} />
              <Table brought={brought} words={nameOf(overview.unit)} />
            </div>
          )}
          <p class="actions">
            {action === 'lend' && (
              <Link to={{ view: 'device', run: overview.run }} class="button primary large">
                Lend this device
              </Link>
            )}
            {action === 'play' && (
              <Link to={{ view: 'play', run: overview.run }} class="button primary large">
                Play with the model
              </Link>
            )}
            {action === 'start' && (
              <Link to={{ view: 'start' }} class="button primary large">
                Start a run
              </Link>
            )}
            {!cameToNothing(overview) && <Share run={overview} connection={connection} />}
            {action === 'lend' && <small>It works only while you let it, and you see first what that means.</small>}
          </p>
        </div>
        {!cameToNothing(overview) && (
          <aside class="beside-it">
            <RoundBox run={run} />
            {yours && <LazyView connection={connection} load={ownerTools} props={{ run: overview }} />}
          </aside>
        )}
      </div>
    </>
  );
}

/** Opened by whoever wants it; of a finished run at once. */
function Home({ run, connection }: { run: RunOverview; connection: Live['connection'] }) {
  const [open, setOpen] = useState(run.phase === 'finished');
  return (
    <details class="home" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Take the model home</summary>
      {open && <LazyView connection={connection} load={takeHome} props={{ run }} />}
    </details>
  );
}

function Share({ run, connection }: { run: RunOverview; connection: Live['connection'] }) {
  const [sharing, setSharing] = useState(false);
  return (
    <>
      <button type="button" class="large" onClick={() => setSharing(true)}>
        Share
      </button>
      {sharing && (
        <LazyView connection={connection} load={shareDialog} props={{ run, onClose: () => setSharing(false) }} />
      )}
    </>
  );
}

function Figures({ run }: { run: LiveRun }) {
  const { overview, peers } = run;
  const { metrics, bytes_submitted, dense_bytes } = overview;
  const unit = nameOf(overview.unit);
  const here = [...peers.values()].filter((peer) => peer.present).length;
  const ratio = bytes_submitted > 0 && dense_bytes > 0 ? dense_bytes / bytes_submitted : null;
  if (overview.round === 0 && metrics[0].last === null && here === 0) return null;
  return (
    <dl class="figures">
      {metrics.map((metric) => (
        <Measured key={metric.name} metric={metric} />
      ))}
      {overview.phase !== 'finished' && overview.phase !== 'paused' && (
        <Figure
          name="Speed"
          value={run.amount_per_second > 0 ? formatCount(run.amount_per_second) : undefined}
          note={`${unit} a second, all devices together`}
        />
      )}
      <Figure
        name={trainsOnText(overview.game) ? 'Read' : 'Done'}
        value={formatCount(overview.merged_amount)}
        note={unit}
      />
      <Figure
        name="Sent by workers"
        value={bytes_submitted > 0 ? formatBytes(bytes_submitted) : undefined}
        note={
          ratio === null ? 'Nothing has been sent yet.' : `${ratio.toFixed(0)} times less than dense float32 updates`
        }
      />
      <Figure name="Devices" value={formatWhole(here)} note={`here now; ${formatWhole(peers.size)} have taken part`} />
    </dl>
  );
}

/** A metric in the game's words. */
function Measured({ metric: { name, words, unit, better, first, last } }: { metric: MetricView }) {
  const tail = `${nameOf(unit)}; ${better} is better`;
  return (
    <Figure
      name={capital(nameOf(words))}
      value={last === null ? undefined : valueText(name, last)}
      note={
        last === null || first === null
          ? 'A validator measures it.'
          : last === first
            ? `as first measured, in ${tail}`
            : `${valueText(name, first)} at first, in ${tail}`
      }
    />
  );
}

function Figure({ name, value, note }: { name: string; value: string | undefined; note: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={value === undefined ? 'none' : undefined}>
        {value ?? '–'}
        <small>{note}</small>
      </dd>
    </div>
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

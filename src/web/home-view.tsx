// The view at the hub's own address: its one run, a choice of several, or how to start the first.
import { metricText } from '../protocol/measures.ts';
import { broughtBy } from './run/brought.ts';
import { RunView } from './run/run-view.tsx';
import { describeRun } from './run/sentence.ts';
import { TableBar } from './run/table.tsx';
import { phaseWord } from './run/words.ts';
import { formatWhole, nameOf } from './shell/format.ts';
import { LazyView, loadView } from './shell/lazy-view.tsx';
import { Link } from './shell/link.tsx';
import type { LiveRun, ViewProps } from './shell/live.ts';

const noRuns = loadView(() => import('./directory/no-runs.tsx'), 'NoRuns');

export function HomeView(props: ViewProps) {
  const { live } = props;
  if (live.connection === 'connecting' || (live.runs.size === 0 && live.connection === 'away')) {
    return <p class="loading">{live.connection === 'away' ? 'Waiting for the hub …' : 'Asking the hub …'}</p>;
  }
  if (live.runs.size === 0) return <LazyView connection={live.connection} load={noRuns} props={props} />;
  if (live.runs.size === 1) return <RunView {...props} run={live.runs.keys().next().value!} />;
  // Those that go on first; among them and among the others the newest.
  const runs = [...live.runs.values()].reverse();
  const over = runs.filter(({ overview }) => overview.phase === 'finished');
  return (
    <section>
      <h1>Runs on this hub</h1>
      <ul class="runs">
        {[...runs.filter((run) => !over.includes(run)), ...over].map((run) => (
          <li key={run.overview.run}>
            <RunLink run={run} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function RunLink({ run: { overview, peers } }: { run: LiveRun }) {
  const measured = metricText(overview.metrics[0]);
  return (
    <Link to={{ view: 'run', run: overview.run }}>
      <span class="headline">
        <span class="name">{nameOf(overview.name)}</span>
        <span class={`phase ${overview.phase}`}>{phaseWord(overview)}</span>
      </span>
      <span>{describeRun(overview, peers.values()).sentence}</span>
      <TableBar brought={broughtBy(peers.values(), null)} />
      <small>
        {formatWhole(overview.round)} of {formatWhole(overview.rounds)} rounds merged
        {measured && `, ${nameOf(measured)}`}
      </small>
    </Link>
  );
}

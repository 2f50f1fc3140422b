// The frame around every view: the hub's name, the links, and whether the hub is reachable.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { HomeView } from './home-view.tsx';
import { RunView } from './run/run-view.tsx';
import { workWord } from './shell/at-work.ts';
import { ConnectionBanner } from './shell/connection-banner.tsx';
import { nameOf } from './shell/format.ts';
import { LazyView, loadView } from './shell/lazy-view.tsx';
import { Link } from './shell/link.tsx';
import type { Live, LiveLink, ViewProps } from './shell/live.ts';
import { type Route, route } from './shell/route.ts';
import { runOf } from './shell/run-of.ts';
import { useStore } from './shell/store.ts';
import { ViewBoundary } from './shell/view-boundary.tsx';
import { WorkBadge } from './shell/work-badge.tsx';

const deviceView = loadView(() => import('./device/device-view.tsx'), 'DeviceView');
const devicesView = loadView(() => import('./devices/devices-view.tsx'), 'DevicesView');
const keysView = loadView(() => import('./pool/keys-view.tsx'), 'KeysView');
const ledgerView = loadView(() => import('./ledger/ledger-view.tsx'), 'LedgerView');
const playView = loadView(() => import('./play/play-view.tsx'), 'PlayView');
const poolView = loadView(() => import('./pool/pool-view.tsx'), 'PoolView');
const startView = loadView(() => import('./start/start-view.tsx'), 'StartView');

export function App({ live: link }: { live: LiveLink }) {
  const live = useStore(link.store);
  const here = useStore(route);
  const run = runOf(here, live);
  const working = useStore(workWord);
  const title = titleOf(here, live);
  useEffect(() => {
    document.title = working ? `${working} · ${title}` : title;
  });
  const said = useAnnounced(here, title);
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    // Where the links are wider than the window, the current one is scrolled into view.
    const open = nav.current?.querySelector<HTMLElement>('[aria-current]');
    if (open) nav.current!.scrollLeft = open.offsetLeft - (nav.current!.clientWidth - open.offsetWidth) / 2;
  }, [here, run]);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <Link to={{ view: 'home' }} class="brand">
          <Pot />
          Potluck
        </Link>
        <nav aria-label="Views" ref={nav}>
          {run && (
            <>
              <Link to={{ view: 'run', run }} current={here.view === 'run' || here.view === 'home'}>
                Run
              </Link>
              <Link to={{ view: 'device', run }} current={here.view === 'device'}>
                My device
              </Link>
            </>
          )}
          <Link to={{ view: 'ledger', event: null }} current={here.view === 'ledger'}>
            Ledger
          </Link>
          {run && (
            <Link to={{ view: 'play', run }} current={here.view === 'play'}>
              Play
            </Link>
          )}
          <Link to={{ view: 'start' }} current={here.view === 'start'}>
            Start a run
          </Link>
        </nav>
        <WorkBadge here={here} />
      </header>
      <p class="visually-hidden" role="status">
        {said}
      </p>
      <ConnectionBanner live={live} onRetry={link.retry} />
      <main id="main" tabIndex={-1} class={live.connection === 'away' ? 'stale' : undefined}>
        {/* A view that goes takes what it holds with it: its state, its failure, and props that are no longer its own. */}
        <ViewBoundary key={keyOf(here)}>{viewOf(here, { live, link })}</ViewBoundary>
      </main>
    </>
  );
}

/** Another view opens: keyboard focus moves to its beginning, and a screen reader announces it. Nothing moves when the page is first opened. */
function useAnnounced(here: Route, title: string): string {
  const [said, setSaid] = useState('');
  const before = useRef(here);
  useEffect(() => {
    if (before.current === here) return;
    // Between two events of the ledger the focus stays on the link.
    if (before.current.view !== here.view) document.getElementById('main')?.focus({ preventScroll: true });
    before.current = here;
    setSaid(title);
  }, [here]);
  return said;
}

const keyOf = (here: Route): string => ('run' in here ? `${here.view} ${here.run}` : here.view);

function viewOf(here: Route, props: ViewProps): ComponentChildren {
  switch (here.view) {
    case 'home':
      return <HomeView {...props} />;
    case 'run':
      return <RunView {...props} run={here.run} />;
    case 'device':
      return <LazyView connection={props.live.connection} load={deviceView} props={{ ...props, run: here.run }} />;
    case 'play':
      return <LazyView connection={props.live.connection} load={playView} props={{ ...props, run: here.run }} />;
    case 'ledger':
      return <LazyView connection={props.live.connection} load={ledgerView} props={{ ...props, event: here.event }} />;
    case 'devices':
      return <LazyView connection={props.live.connection} load={devicesView} props={props} />;
    case 'pool':
      return <LazyView connection={props.live.connection} load={poolView} props={props} />;
    case 'keys':
      return <LazyView connection={props.live.connection} load={keysView} props={props} />;
    case 'start':
      return <LazyView connection={props.live.connection} load={startView} props={props} />;
    case 'unknown':
      return (
        <section class="empty">
          <h1>There is nothing at this address</h1>
          <p>
            <Link to={{ view: 'home' }}>Back to the run</Link>
          </p>
        </section>
      );
  }
}

function titleOf(here: Route, live: Live): string {
  const run = live.runs.get(runOf(here, live) ?? '');
  const name = run ? nameOf(run.overview.name) : '';
  switch (here.view) {
    case 'home':
    case 'run':
      return run ? `${name} · Potluck` : 'Potluck';
    case 'device':
      return `My device · ${name}`;
    case 'play':
      return `Play · ${name}`;
    case 'ledger':
      return here.event === null ? 'Ledger · Potluck' : `Event ${here.event} · Potluck`;
    case 'devices':
      return 'Your devices · Potluck';
    case 'pool':
      return 'The pool · Potluck';
    case 'keys':
      return 'API keys · Potluck';
    case 'start':
      return 'Start a run · Potluck';
    case 'unknown':
      return 'Not found · Potluck';
  }
}

function Pot() {
  return (
    <svg class="pot" viewBox="0 0 32 32" aria-hidden="true">
      <path class="fill" d="M5 13h22l-2 11a4 4 0 0 1-4 3H11a4 4 0 0 1-4-3z" />
      <path class="line" d="M3 11.5h26M11 7c-1.5-2 1.5-3 0-5M16 7c-1.5-2 1.5-3 0-5M21 7c-1.5-2 1.5-3 0-5" />
    </svg>
  );
}

// Everybody on a run with what they are doing now. Only the rows in sight are drawn, so that thousands stay smooth.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { wordsOfNumbers } from '../../protocol/measures.ts';
import type { PeerView } from '../../protocol/messages.ts';
import { formatCount, formatWhole, nameOf, runtimeName } from '../shell/format.ts';
import { LazyView, loadView } from '../shell/lazy-view.tsx';
import type { Live, LiveRun } from '../shell/live.ts';
import { dishesOf, percent } from './brought.ts';
import { doing, peerName } from './words.ts';
import type { Charted } from './worker-details.tsx';

const workerDetails = loadView(() => import('./worker-details.tsx'), 'WorkerDetails');

const ROW_PIXELS = 44; // as .peer-row in run.css
/** What opens under a row scrolls within this, so that the places of all others are known. */
const OPEN_PIXELS = { wide: 288, narrow: 400 };
const NARROW_PIXELS = 500;
/** Rows above and below what is seen: a quick flick of the wheel shows no gap. */
const SPARE_ROWS = 8;

type Filter = { readonly kind: 'all' } | { readonly kind: 'role' | 'runtime'; readonly value: string };

/** What every row is drawn by. */
interface Shown {
  readonly run: LiveRun;
  /** This browser's device. */
  readonly you: string | null;
  readonly charted: Charted;
  readonly connection: Live['connection'];
}

export function PeerList({ version, ...shown }: Shown & { version: number }) {
  const { run } = shown;
  const [filter, setFilter] = useState<Filter>({ kind: 'all' });
  const peers = useMemo(() => sorted([...run.peers.values()]), [run.peers, version]);
  if (peers.length === 0) return null;
  const listed = peers.filter(
    (peer) =>
      filter.kind === 'all' ||
      (peer.role === (filter.kind === 'role' ? filter.value : 'worker') &&
        (filter.kind === 'role' || peer.runtime === filter.value)),
  );
  return (
    <section class="peers" aria-labelledby="peers-title">
      <div class="section-head">
        <h2 id="peers-title">Devices</h2>
        <Filters peers={peers} filter={filter} onFilter={setFilter} />
      </div>
      <Rows key={JSON.stringify(filter)} peers={listed} {...shown} />
    </section>
  );
}

/** Who is here first, then who has done most: nothing jumps while people look. */
function sorted(peers: PeerView[]): PeerView[] {
  return peers.sort(
    (a, b) => Number(b.present) - Number(a.present) || b.credit_amount - a.credit_amount || (a.id < b.id ? -1 : 1),
  );
}

function Filters({
  peers,
  filter,
  onFilter,
}: {
  peers: PeerView[];
  filter: Filter;
  onFilter: (filter: Filter) => void;
}) {
  const workers = peers.filter((peer) => peer.role === 'worker');
  const validators = peers.length - workers.length;
  const runtimes = [...new Set(workers.map((peer) => peer.runtime))].sort();
  // Of a run that is over nobody is here: then everybody counts.
  const anybody = peers.some((peer) => peer.present);
  const here = (list: PeerView[]) => (anybody ? list.filter((peer) => peer.present) : list).length;
  const choice = (to: Filter, text: string, list: PeerView[]) => {
    const chosen =
      filter.kind === to.kind && ('value' in filter ? filter.value : '') === ('value' in to ? to.value : '');
    return (
      <button type="button" class="chip" aria-pressed={chosen} onClick={() => onFilter(chosen ? { kind: 'all' } : to)}>
        {text} <b>{formatWhole(here(list))}</b>
      </button>
    );
  };
  return (
    <fieldset class="chips" aria-label="Show devices of one class">
      {choice({ kind: 'all' }, 'All', peers)}
      {runtimes.map((runtime) =>
        choice(
          { kind: 'runtime', value: runtime },
          runtimeName(runtime),
          workers.filter((peer) => peer.runtime === runtime),
        ),
      )}
      {validators > 0 &&
        choice(
          { kind: 'role', value: 'validator' },
          'Validators',
          peers.filter((peer) => peer.role === 'validator'),
        )}
    </fieldset>
  );
}

function Rows({ peers, run, you, charted, connection }: { peers: PeerView[] } & Shown) {
  const box = useRef<HTMLElement>(null);
  const [view, setView] = useState({ first: 0, count: 30, room: OPEN_PIXELS.wide });
  const [open, setOpen] = useState<string | null>(null);
  const dishes = useMemo(() => dishesOf(run.peers.values()), [run.peers.size]);
  useEffect(() => {
    const element = box.current!;
    const measure = (): void => {
      const room = element.clientWidth < NARROW_PIXELS ? OPEN_PIXELS.narrow : OPEN_PIXELS.wide;
      // An open row moves those below it: as many more are drawn above.
      const first = Math.max(0, Math.floor((element.scrollTop - room) / ROW_PIXELS) - SPARE_ROWS);
      const count = Math.ceil((element.clientHeight + room) / ROW_PIXELS) + 2 * SPARE_ROWS;
      setView((before) =>
        before.first === first && before.count === count && before.room === room ? before : { first, count, room },
      );
    };
    measure();
    element.addEventListener('scroll', measure, { passive: true });
    const resized = new ResizeObserver(measure);
    resized.observe(element);
    return () => {
      element.removeEventListener('scroll', measure);
      resized.disconnect();
    };
  }, []);
  const first = Math.min(view.first, Math.max(0, peers.length - 1));
  const opened = peers.findIndex(({ id }) => id === open);
  const topOf = (i: number): number => i * ROW_PIXELS + (opened >= 0 && i > opened ? view.room : 0);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="peer-rows" ref={box} tabIndex={0} aria-label={`${peers.length} devices`}>
      <ul style={{ height: `${topOf(peers.length)}px` }}>
        {peers.slice(first, first + view.count).map((peer, i) => (
          <li
            key={peer.id}
            class={`peer-item ${peer.present ? 'here' : 'gone'}`}
            style={{ transform: `translateY(${topOf(first + i)}px)` }}
          >
            <Row
              peer={peer}
              run={run}
              you={peer.id === you}
              dish={dishes.get(peer.id)}
              open={peer.id === open}
              onOpen={() => setOpen(peer.id === open ? null : peer.id)}
            />
            {peer.id === open && (
              <div style={{ height: `${view.room}px` }} class="peer-place">
                <LazyView
                  connection={connection}
                  load={workerDetails}
                  props={{ peer, run, dish: dishes.get(peer.id) ?? 0, charted }}
                />
              </div>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Row(props: {
  peer: PeerView;
  run: LiveRun;
  you: boolean;
  dish: number | undefined;
  open: boolean;
  onOpen: () => void;
}) {
  const { peer, run, you, dish, open, onOpen } = props;
  const state = doing(peer, run.overview);
  const working = state === 'working';
  const { merged_amount, unit, numbers } = run.overview;
  // The first of its numbers: there is little room.
  const told = wordsOfNumbers(numbers.work.slice(0, 1), peer.progress?.numbers ?? {});
  const share = peer.role === 'worker' && merged_amount > 0 ? percent(peer.credit_amount / merged_amount) : '';
  return (
    <button type="button" class="peer-row" aria-expanded={open} onClick={onOpen}>
      <span class={`dish dish-${dish ?? 'none'}`} />
      <span class="peer-name">
        {peerName(peer)}
        {you && <small> you</small>}
      </span>
      <span class="peer-state">
        {peer.role === 'validator' ? `validator, ${state}` : state}
        {working && told && `, ${nameOf(told)}`}
      </span>
      <span class="peer-speed">
        {working ? `${formatCount(peer.progress!.amount_per_second)} ${nameOf(unit)}/s` : ''}
      </span>
      <span class="peer-share">{share}</span>
      <span class="opens" aria-hidden="true" />
    </button>
  );
}

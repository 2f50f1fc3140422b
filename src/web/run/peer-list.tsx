// Everybody on a run with what they are doing now. Only the rows in sight are drawn, so that thousands stay smooth.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { PeerView } from '../../protocol/messages.ts';
import { formatBytes, formatCount, formatWhole, runtimeName, short } from '../shell/format.ts';
import type { LiveRun } from '../shell/live.ts';
import { doing, peerName } from './words.ts';

const ROW_PIXELS = 44; // as .peer-row in style.css
/** Rows above and below what is seen: a quick flick of the wheel shows no gap. */
const SPARE_ROWS = 8;

type Filter = { readonly kind: 'all' } | { readonly kind: 'role' | 'runtime'; readonly value: string };

export function PeerList({ run, version }: { run: LiveRun; version: number }) {
  const [filter, setFilter] = useState<Filter>({ kind: 'all' });
  const peers = useMemo(() => sorted([...run.peers.values()]), [run.peers, version]);
  const credited = run.overview.merged_tokens;
  const shown = peers.filter(
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
      {peers.length === 0 ? (
        <p class="empty-line">Nobody has come yet. Lend this device, or share the link.</p>
      ) : (
        <Rows key={JSON.stringify(filter)} peers={shown} run={run} credited={credited} />
      )}
    </section>
  );
}

/** Who is here first, then who has done most: nothing jumps while people look. */
function sorted(peers: PeerView[]): PeerView[] {
  return peers.sort(
    (a, b) => Number(b.present) - Number(a.present) || b.credit_tokens - a.credit_tokens || (a.id < b.id ? -1 : 1),
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
  const here = (list: PeerView[]) => list.filter((peer) => peer.present).length;
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
      {choice({ kind: 'all' }, 'All here', peers)}
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

function Rows({ peers, run, credited }: { peers: PeerView[]; run: LiveRun; credited: number }) {
  const box = useRef<HTMLElement>(null);
  const [view, setView] = useState({ first: 0, count: 30 });
  useEffect(() => {
    const element = box.current!;
    const measure = (): void => {
      const first = Math.max(0, Math.floor(element.scrollTop / ROW_PIXELS) - SPARE_ROWS);
      const count = Math.ceil(element.clientHeight / ROW_PIXELS) + 2 * SPARE_ROWS;
      setView((before) => (before.first === first && before.count === count ? before : { first, count }));
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
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="peer-rows" ref={box} tabIndex={0} aria-label={`${peers.length} devices`}>
      <ul style={{ height: `${peers.length * ROW_PIXELS}px` }}>
        {peers.slice(first, first + view.count).map((peer, i) => (
          <Row key={peer.id} peer={peer} top={(first + i) * ROW_PIXELS} run={run} credited={credited} />
        ))}
      </ul>
    </section>
  );
}

function Row({ peer, top, run, credited }: { peer: PeerView; top: number; run: LiveRun; credited: number }) {
  const state = doing(peer, run.overview);
  const training = state === 'training';
  const share = peer.role === 'worker' && credited > 0 ? (100 * peer.credit_tokens) / credited : null;
  return (
    <li class={`peer-row ${peer.present ? 'here' : 'gone'}`} style={{ transform: `translateY(${top}px)` }}>
      <span class={`dot ${state.replace(' ', '-')}`} />
      <span class="peer-name">
        {peerName(peer)} <code>{short(peer.id)}</code>
      </span>
      <span class="peer-kind">{peer.role === 'validator' ? 'validator' : runtimeName(peer.runtime)}</span>
      <span class="peer-state">
        {state}
        {training && ` · step ${peer.progress!.steps}`}
      </span>
      <span class="peer-speed">{training ? `${formatCount(peer.progress!.tokens_per_second)} tok/s` : ''}</span>
      <span class="peer-done">
        {peer.role === 'validator'
          ? "checks everybody's work"
          : `${peer.merged_submissions} merged${peer.refused_submissions > 0 ? `, ${peer.refused_submissions} refused` : ''}`}
      </span>
      <span class="peer-sent">{peer.bytes_up > 0 ? `${formatBytes(peer.bytes_up)} up` : ''}</span>
      <span class="peer-share">{share === null ? '' : `${share.toFixed(share < 10 ? 1 : 0)} %`}</span>
    </li>
  );
}

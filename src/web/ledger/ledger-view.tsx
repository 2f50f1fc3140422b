// The log, as far as its reader wants to see it, downloaded and verified in this browser.
import { useMemo, useState } from 'preact/hooks';
import { Elsewhere } from '../directory/elsewhere.tsx';
import { countOf, nameOf, short } from '../shell/format.ts';
import type { Live, ViewProps } from '../shell/live.ts';
import { AuditPanel } from './audit-panel.tsx';
import { EventList } from './event-list.tsx';
import { EventView } from './event-view.tsx';
import type { Names } from './event-words.ts';
import { keptHeads } from './kept-heads.ts';
import './ledger.css';
import { type LogReader, openLogReader } from './log-reader.ts';
import { type HeadState, useHead } from './use-head.ts';

export function LedgerView({ live, event }: ViewProps & { event: number | null }) {
  const { hub } = live;
  const reader = useMemo(
    () => (hub === null ? null : openLogReader(location.origin, hub, undefined, keptHeads(hub))),
    [hub],
  );
  if (!reader || hub === null) {
    return (
      <p class="loading">
        {live.connection === 'away'
          ? 'The ledger is read from the hub: waiting for it …'
          : 'Asking the hub whose log this is …'}
      </p>
    );
  }
  return <Ledger key={hub} live={live} reader={reader} hub={hub} event={event} />;
}

function Ledger({ live, reader, hub, event }: { live: Live; reader: LogReader; hub: string; event: number | null }) {
  const names = useMemo(() => namesOf(live), [live]);
  const [follow, setFollow] = useState(false);
  const state = useHead(reader, live, follow && event === null, event);
  const { head } = state;
  return (
    <article class="ledger">
      <div class="headline">
        <h1>Ledger</h1>
      </div>
      <p class="lead">
        Everything that earns or costs somebody something is one line here, signed by whoever did it. Lines can only be
        added. You need not believe the hub: open a line and your own browser checks it, or let it check all of them.
      </p>
      <HeadLine hub={hub} here={live.connection === 'live'} state={state} />
      <AuditPanel hub={hub} live={live} />
      {event !== null && <EventView reader={reader} index={event} size={head?.size ?? null} names={names} />}
      {event === null && head && (
        <EventList
          reader={reader}
          head={head}
          fresh={Math.max(0, live.events - head.size)}
          names={names}
          follow={follow}
          onFollow={setFollow}
          onRefresh={state.refresh}
        />
      )}
      {event === null && <Elsewhere live={live} />}
    </article>
  );
}

function HeadLine({ hub, here, state }: { hub: string; here: boolean; state: HeadState }) {
  const { head, untrue, away, refresh } = state;
  if (untrue) {
    return (
      <p class="verdict bad" role="alert">
        <b>The head of this log cannot be believed:</b> {untrue}
      </p>
    );
  }
  return (
    <>
      {away && (
        <p class="verdict" role="status">
          The newest head of the log could not be fetched: {away}. That says nothing about what is in it.{' '}
          <button type="button" class="quiet" onClick={refresh}>
            Try again
          </button>
        </p>
      )}
      {!head && !away && (
        <p class="fine">
          {here ? 'Fetching the head of the log …' : 'The ledger is read from the hub: waiting for it …'}
        </p>
      )}
      {head && (
        <p class="verdict good">
          <b>{countOf(head.size, 'event')}</b>, signed by hub <code>{short(hub)}</code>. Verified here
          {head.seen > 1 ? `, and each of the ${head.seen} heads seen so far continues the one before` : ''}.
        </p>
      )}
    </>
  );
}

/** Names by key, from every run that the page knows: a convenience, proven by nothing. */
function namesOf({ runs, hub }: Live): Names {
  const names = new Map<string, string>();
  for (const { overview, peers } of runs.values()) {
    for (const peer of peers.values()) names.set(peer.id, nameOf(peer.name));
    if (!names.has(overview.owner)) names.set(overview.owner, 'the owner');
  }
  if (hub) names.set(hub, 'the hub');
  return {
    name: (key) => names.get(key) ?? short(key),
    unit: (run) => nameOf(runs.get(run)?.overview.unit ?? 'pieces'),
  };
}

// The log as it grows, read and checked in this browser.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { CodedError } from '../../errors.ts';
import type { ViewProps } from '../app.tsx';
import { formatWhole, nameOf, short } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import type { Live } from '../shell/live.ts';
import { AuditPanel } from './audit-panel.tsx';
import { EventView } from './event-view.tsx';
import { type Entry, kindOf, type Names, openEntry, sentenceOf } from './event-words.ts';
import { type Head, type LogReader, openLogReader } from './log-reader.ts';

/** Events on one page of the list. */
const SHOWN = 100;
/** The newest head is asked for at most this often. */
const REFRESH_MS = 1500;

export function LedgerView({ live, event }: ViewProps & { event: number | null }) {
  const { hub } = live;
  const reader = useMemo(() => (hub === null ? null : openLogReader(location.origin, hub)), [hub]);
  if (!reader || hub === null) return <p class="loading">Asking the hub whose log this is …</p>;
  return <Ledger key={hub} live={live} reader={reader} hub={hub} event={event} />;
}

function Ledger({ live, reader, hub, event }: { live: Live; reader: LogReader; hub: string; event: number | null }) {
  const names = useMemo(() => namesOf(live), [live]);
  const { head, problem } = useHead(reader, live);
  return (
    <article class="ledger">
      <div class="headline">
        <h1>Ledger</h1>
      </div>
      <p class="lead">
        Everything that earns or costs somebody something is one line here, signed by whoever did it. The lines can only
        be added to. You need not believe the hub: open a line and your own browser checks it, or let it check all of
        them.
      </p>
      <HeadLine hub={hub} head={head} problem={problem} />
      <AuditPanel hub={hub} size={live.events} />
      {event === null ? (
        <EventList reader={reader} head={head} names={names} />
      ) : (
        <EventView reader={reader} index={event} size={head?.size ?? null} names={names} />
      )}
    </article>
  );
}

/** The newest head, asked for again when the hub says that the log has grown. */
function useHead(reader: LogReader, live: Live): { head: Head | null; problem: string | null } {
  const [head, setHead] = useState<Head | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const asked_ms = useRef(0);
  const away = live.connection !== 'live';
  const behind = live.events > (head?.size ?? -1);
  useEffect(() => {
    if (away || (!behind && head)) return;
    let wanted = true;
    const wait_ms = Math.max(0, asked_ms.current + REFRESH_MS - performance.now());
    const timer = setTimeout(() => {
      asked_ms.current = performance.now();
      reader.refresh().then(
        (next) => {
          if (!wanted) return;
          setHead(next);
          setProblem(null);
        },
        (error: unknown) => {
          if (wanted) setProblem(error instanceof CodedError ? error.message : 'the hub did not answer');
        },
      );
    }, wait_ms);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [reader, away, behind, head, live.events]);
  return { head, problem };
}

function HeadLine({ hub, head, problem }: { hub: string; head: Head | null; problem: string | null }) {
  if (problem) {
    return (
      <p class="verdict bad" role="alert">
        <b>The head of this log cannot be believed:</b> {problem}
      </p>
    );
  }
  if (!head) return <p class="fine">Fetching the head of the log …</p>;
  return (
    <p class="verdict good">
      <b>{formatWhole(head.size)} events</b>, signed by hub <code>{short(hub)}</code>. Verified here
      {head.seen > 1 ? `, and each of the ${head.seen} heads seen so far continues the one before` : ''}.
    </p>
  );
}

function EventList({ reader, head, names }: { reader: LogReader; head: Head | null; names: Names }) {
  const [end, setEnd] = useState<number | null>(null); // null: follows the newest
  const [clock, setClock] = useState(false);
  const [entries, setEntries] = useState<readonly Entry[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const last = Math.min(end ?? head?.size ?? 0, head?.size ?? 0);
  useEffect(() => {
    if (!head) return;
    let wanted = true;
    const first = Math.max(0, last - SHOWN);
    reader.entries(first, last).then(
      (list) => {
        if (!wanted) return;
        setEntries(list.map((bytes, i) => openEntry(bytes, first + i)).reverse());
        setProblem(null);
      },
      (error: unknown) => wanted && setProblem(error instanceof CodedError ? error.message : 'the hub did not answer'),
    );
    return () => {
      wanted = false;
    };
  }, [reader, head, last]);
  if (problem) return <p class="verdict bad">These events cannot be read: {problem}</p>;
  if (!head || !entries) return <p class="loading">Fetching events …</p>;
  if (head.size === 0) return <p class="empty-line">Nothing has happened yet.</p>;
  const shown = clock ? entries : entries.filter((entry) => kindOf(entry) !== 'clock');
  return (
    <section aria-labelledby="events-title">
      <div class="section-head">
        <h2 id="events-title">
          Events {formatWhole(Math.max(0, last - SHOWN))} to {formatWhole(last - 1)}
        </h2>
        <span class="chips">
          <button type="button" class="chip" aria-pressed={clock} onClick={() => setClock(!clock)}>
            with the hub's clock
          </button>
          <button type="button" class="chip" disabled={last <= SHOWN} onClick={() => setEnd(last - SHOWN)}>
            Older
          </button>
          <button
            type="button"
            class="chip"
            disabled={end === null}
            onClick={() => setEnd(last + SHOWN >= head.size ? null : last + SHOWN)}
          >
            Newer
          </button>
        </span>
      </div>
      <ol class="events">
        {shown.map((entry) => (
          <li key={entry.index}>
            <Link to={{ view: 'ledger', event: entry.index }}>
              <span class="number">{formatWhole(entry.index)}</span>
              <span class={`kind ${kindOf(entry)}`}>{kindOf(entry)}</span>
              <span class="sentence">{sentenceOf(entry, names)}</span>
            </Link>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Names by key, from every run that the page has heard of: a convenience, proven by nothing. */
function namesOf({ runs, hub }: Live): Names {
  const names = new Map<string, string>();
  for (const { overview, peers } of runs.values()) {
    for (const peer of peers.values()) names.set(peer.id, nameOf(peer.name));
    if (!names.has(overview.owner)) names.set(overview.owner, 'the owner');
  }
  if (hub) names.set(hub, 'the hub');
  return (key) => names.get(key) ?? short(key);
}

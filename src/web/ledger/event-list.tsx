// The list of events: newest first, stable while it is read, searched and filtered as its address says.
import { useEffect, useRef, useState } from 'preact/hooks';
import { CodedError } from '../../errors.ts';
import { countOf, formatWhole } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import { goTo } from '../shell/route.ts';
import { type Entry, kindOf, type Names, sentenceOf } from './event-words.ts';
import { eventsAsCsv } from './events-csv.ts';
import { type Found, findEvents, matcherOf } from './find-events.ts';
import type { Head, LogReader } from './log-reader.ts';
import { EVERYTHING, formatQuery, KINDS, type LedgerQuery, numberIn, parseQuery } from './query.ts';

/** Events on one page of the list. */
const SHOWN = 100;

interface ListProps {
  readonly reader: LogReader;
  readonly head: Head;
  /** Events that the hub has reported and the list does not show yet. */
  readonly fresh: number;
  readonly names: Names;
  readonly follow: boolean;
  onFollow(follow: boolean): void;
  onRefresh(): void;
}

export function EventList({ reader, head, fresh, names, follow, onFollow, onRefresh }: ListProps) {
  const [query, setQuery] = useQuery();
  const { found, reached, problem, stop } = useFound(reader, head.size, query, names);
  const entries = found?.entries ?? [];
  const atNewest = query.at === null;
  const isSearch = query.text !== '' || query.kinds.length > 0;
  return (
    <section aria-labelledby="events-title">
      <SearchBox key={query.text} query={query} size={head.size} onQuery={setQuery} />
      <Filters query={query} onQuery={setQuery} />
      <div class="section-head">
        <h2 id="events-title">{isSearch ? 'Events found' : 'Events'}</h2>
        <span class="chips">
          {atNewest && (
            <button type="button" class="chip" aria-pressed={follow} onClick={() => onFollow(!follow)}>
              Follow
            </button>
          )}
          <button
            type="button"
            class="chip"
            disabled={atNewest || !found}
            onClick={() => setQuery({ ...query, at: newerThan(entries, head.size) })}
          >
            Newer
          </button>
          <button
            type="button"
            class="chip"
            disabled={!found || entries.length === 0 || (found.complete && !(query.at && 'from' in query.at))}
            onClick={() => setQuery({ ...query, at: { before: entries.at(-1)!.index } })}
          >
            Older
          </button>
          <CsvButton entries={entries} names={names} />
        </span>
      </div>
      {fresh > 0 && !follow && (
        <button
          type="button"
          class="fresh"
          onClick={() => {
            setQuery({ ...query, at: null });
            onRefresh();
          }}
        >
          {countOf(fresh, 'new event')}: show
        </button>
      )}
      {problem && (
        <p class="verdict bad" role="alert">
          The list is not complete: {problem}.
        </p>
      )}
      {reached !== null && (
        <p class="fine" role="status">
          Searching … now at event {formatWhole(reached)} of {formatWhole(head.size)}{' '}
          <button type="button" class="quiet" onClick={stop}>
            Stop
          </button>
        </p>
      )}
      {found && entries.length === 0 && <Nothing size={head.size} isSearch={isSearch} />}
      <ol class="events">
        {entries.map((entry) => (
          <li key={entry.index}>
            <Link to={{ view: 'ledger', event: entry.index }}>
              <span class="number">{formatWhole(entry.index)}</span>
              <span class={`kind ${kindOf(entry)}`}>{kindOf(entry)}</span>
              <span class="says">{sentenceOf(entry, names)}</span>
            </Link>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** The next page of the list; the newest page has no position in the address. */
function newerThan(entries: readonly Entry[], size: number): LedgerQuery['at'] {
  const from = (entries[0]?.index ?? size) + 1;
  return from + SHOWN >= size ? null : { from };
}

/** The search part of the address of the list that was shown last. */
let searched = '';
export const lastSearch = (): string => searched;

/** The query in the address; Back undoes a change of it. */
function useQuery(): [LedgerQuery, (query: LedgerQuery) => void] {
  const [query, setQuery] = useState(() => parseQuery(location.search));
  useEffect(() => {
    const read = (): void => setQuery(parseQuery(location.search));
    addEventListener('popstate', read);
    return () => removeEventListener('popstate', read);
  }, []);
  searched = formatQuery(query);
  return [
    query,
    (next) => {
      const search = formatQuery(next);
      if (search !== formatQuery(query)) history.pushState(null, '', location.pathname + search);
      setQuery(next);
    },
  ];
}

interface Finding {
  readonly found: Found | null;
  /** The progress of a long search. */
  readonly reached: number | null;
  readonly problem: string | null;
  stop(): void;
}

/** The result of the query. The last list stays until the next one is there. */
function useFound(reader: LogReader, size: number, query: LedgerQuery, names: Names): Finding {
  const [state, setState] = useState<Omit<Finding, 'stop'>>({ found: null, reached: null, problem: null });
  const searching = useRef<AbortController | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    searching.current = stop;
    const where = { size, at: query.at, most: SHOWN };
    const onProgress = (reached: number): void => setState((before) => ({ ...before, reached }));
    findEvents(reader.entries, where, matcherOf(query, names), stop.signal, onProgress).then(
      (found) => setState({ found, reached: null, problem: null }),
      (error: unknown) => {
        if (stop.signal.reason === LEFT) return;
        const message = error instanceof CodedError ? error.message : 'the search was stopped';
        setState((before) => ({
          found: before.found ?? { entries: [], complete: true },
          reached: null,
          problem: message,
        }));
      },
    );
    return () => stop.abort(LEFT);
    // `names` is not a dependency: a newly named device must not restart the list.
  }, [reader, size, formatQuery(query)]);
  return { ...state, stop: () => searching.current?.abort() };
}

const LEFT = 'the list has gone on to something else';

function SearchBox({
  query,
  size,
  onQuery,
}: {
  query: LedgerQuery;
  size: number;
  onQuery: (query: LedgerQuery) => void;
}) {
  const [text, setText] = useState(query.text);
  return (
    <form
      class="search"
      onSubmit={(event) => {
        event.preventDefault();
        const number = numberIn(text, size);
        if (number !== null) goTo({ view: 'ledger', event: number });
        else onQuery({ ...query, text: text.trim(), at: null });
      }}
    >
      <label>
        A key, hash, number, name or word
        <input type="search" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <button type="submit">Search</button>
      {query.text !== '' && (
        <button type="button" onClick={() => onQuery({ ...query, text: '', at: null })}>
          Show everything
        </button>
      )}
    </form>
  );
}

function Filters({ query, onQuery }: { query: LedgerQuery; onQuery: (query: LedgerQuery) => void }) {
  return (
    <fieldset class="chips">
      <legend class="visually-hidden">Kinds of events</legend>
      <button
        type="button"
        class="chip"
        aria-pressed={query.kinds.length === 0}
        onClick={() => onQuery({ ...EVERYTHING, text: query.text })}
      >
        all but the clock
      </button>
      {KINDS.map((kind) => {
        const chosen = query.kinds.includes(kind);
        const kinds = KINDS.filter((other) => (other === kind ? !chosen : query.kinds.includes(other)));
        return (
          <button
            key={kind}
            type="button"
            class="chip"
            aria-pressed={chosen}
            onClick={() => onQuery({ ...query, kinds, at: null })}
          >
            {kind}
          </button>
        );
      })}
    </fieldset>
  );
}

function Nothing({ size, isSearch }: { size: number; isSearch: boolean }) {
  if (size === 0) return <p class="empty-line">Nothing has happened yet.</p>;
  return <p class="empty-line">{isSearch ? 'No event fits.' : 'Nothing but the hub’s clock is here.'}</p>;
}

/** The list, as a file. */
function CsvButton({ entries, names }: { entries: readonly Entry[]; names: Names }) {
  const save = (): void => {
    const address = URL.createObjectURL(new Blob([eventsAsCsv(entries, names)], { type: 'text/csv' }));
    const link = document.createElement('a');
    link.href = address;
    link.download = entries.length > 0 ? `events-${entries.at(-1)!.index}-${entries[0].index}.csv` : 'events.csv';
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  };
  return (
    <button type="button" class="chip" disabled={entries.length === 0} onClick={save}>
      Save as CSV
    </button>
  );
}

// One event in detail: its content, and the proof, made in this browser, that it was signed and is in the log.
import { bytesToHex } from '@noble/hashes/utils.js';
import { useEffect, useState } from 'preact/hooks';
import { areSignedByAuthor } from '../../protocol/envelope.ts';
import { formatWhole } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import { route, routeOf } from '../shell/route.ts';
import { Fields } from './event-fields.tsx';
import { lastSearch } from './event-list.tsx';
import { type Entry, fieldsOf, kindOf, type Names, openEntry, sentenceOf } from './event-words.ts';
import type { Inclusion, LogReader } from './log-reader.ts';

interface Checked {
  readonly entry: Entry;
  readonly signed: boolean;
  readonly inclusion: Inclusion;
}

export function EventView(props: { reader: LogReader; index: number; size: number | null; names: Names }) {
  const { reader, index, size, names } = props;
  const [checked, setChecked] = useState<Checked | { readonly problem: string } | null>(null);
  const [attempt, setAttempt] = useState(0);
  const known = size !== null && index < size;
  useEffect(() => {
    setChecked(null);
    if (!known) return;
    let wanted = true;
    check(reader, index).then(
      (result) => wanted && setChecked(result),
      (error: unknown) => wanted && setChecked({ problem: error instanceof Error ? error.message : String(error) }),
    );
    return () => {
      wanted = false;
    };
  }, [reader, index, known, attempt]);
  return (
    <section class="event" aria-labelledby="event-title">
      <div class="section-head">
        <h2 id="event-title">Event {formatWhole(index)}</h2>
        <nav class="chips" aria-label="Other events">
          <BackToList />
          {index > 0 && (
            <Link to={{ view: 'ledger', event: index - 1 }} class="button chip">
              Before
            </Link>
          )}
          {size !== null && index + 1 < size && (
            <Link to={{ view: 'ledger', event: index + 1 }} class="button chip">
              After
            </Link>
          )}
        </nav>
      </div>
      {size !== null && !known && (
        <p class="empty-line">The log has {formatWhole(size)} events; this one is not in it yet.</p>
      )}
      {known && !checked && <p class="loading">Fetching and checking …</p>}
      {checked && 'problem' in checked && (
        <p class="verdict bad" role="alert">
          It could not be checked: {checked.problem}.{' '}
          <button type="button" class="quiet" onClick={() => setAttempt(attempt + 1)}>
            Try again
          </button>
        </p>
      )}
      {checked && 'entry' in checked && <Opened checked={checked} names={names} />}
    </section>
  );
}

async function check(reader: LogReader, index: number): Promise<Checked> {
  const [bytes] = await reader.entries(index, index + 1);
  const inclusion = await reader.prove(bytes, index);
  const [signed] = await areSignedByAuthor([bytes]);
  return { entry: openEntry(bytes, index), signed, inclusion };
}

function Opened({ checked: { entry, signed, inclusion }, names }: { checked: Checked; names: Names }) {
  const { event, bytes, problem } = entry;
  return (
    <>
      <p class="sentence-large">
        <span class={`kind ${kindOf(entry)}`}>{kindOf(entry)}</span> {sentenceOf(entry, names)}
      </p>
      <ul class="checks">
        <Check good={event !== null} title={event ? 'Its encoding is right' : 'It is not in its canonical encoding'}>
          {event
            ? `${formatWhole(bytes.length)} bytes of deterministic CBOR that say exactly this, decoded here.`
            : problem}
        </Check>
        <Check good={signed} title={signed ? 'Its author signed it' : 'It is not signed by its author'}>
          {event && (
            <>
              Ed25519 by <code class="long">{event.author}</code> ({names.name(event.author)}), verified here.
            </>
          )}
        </Check>
        <Check
          good={inclusion.holds}
          title={inclusion.holds ? 'It is in the log that the hub signed' : 'It is not where the hub says'}
        >
          From its hash, {inclusion.path.length} {inclusion.path.length === 1 ? 'hash' : 'hashes'}{' '}
          {inclusion.holds ? (inclusion.path.length === 1 ? 'leads' : 'lead') : 'should lead, but does not,'} to the
          root of {formatWhole(inclusion.head.size)} events under the hub's signature, computed here.
        </Check>
      </ul>
      <Fields fields={fieldsOf(bytes)} />
      <Path inclusion={inclusion} />
      <details>
        <summary>Its bytes</summary>
        <pre>{bytesToHex(bytes)}</pre>
        {event && (
          <p class="fine">
            Their SHA-256 is the event's name: <code class="long">{event.id}</code>
          </p>
        )}
      </details>
    </>
  );
}

function Check({ good, title, children }: { good: boolean; title: string; children: preact.ComponentChildren }) {
  return (
    <li class={good ? 'good' : 'bad'}>
      <b>{title}</b>
      <span>{children}</span>
    </li>
  );
}

/** The proof itself, for readers who want to verify it by hand. */
function Path({ inclusion: { leaf, path, head } }: { inclusion: Inclusion }) {
  return (
    <details>
      <summary>The way to the root, hash by hash</summary>
      <ol class="path">
        <li>
          <span>leaf</span> <code>{bytesToHex(leaf)}</code>
        </li>
        {path.map((hash, i) => (
          <li key={i}>
            <span>{i + 1}</span> <code>{bytesToHex(hash)}</code>
          </li>
        ))}
        <li>
          <span>root</span> <code>{bytesToHex(head.root)}</code>
        </li>
      </ol>
      <p class="fine">
        Each step hashes two neighbours together (RFC 6962); the last result is what the hub has signed.
      </p>
    </details>
  );
}

/** A link to the list as it was left. */
function BackToList() {
  const address = `/ledger${lastSearch()}`;
  return (
    <a
      href={address}
      class="button chip"
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        history.pushState(null, '', address);
        route.set(routeOf(location.pathname));
      }}
    >
      All events
    </a>
  );
}

// API keys and what was asked with them: a holder sees its own, whoever runs the hub, on its machine, all.
import { useEffect, useState } from 'preact/hooks';
import type { UsageCounts } from '../../serving/api/usage-form.ts';
import { countOf, formatWhole, nameOf, short } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import type { ViewProps } from '../shell/live.ts';
import { KeyForm } from './key-form.tsx';
import { poolAddress, useKey } from './known-pool.ts';
import { type KeyUsage, type KnownUsage, sumOf, usageAt } from './usage-client.ts';

const DAYS = 30;

export function KeysView({ live }: ViewProps) {
  const [found, setFound] = useState<KnownUsage | null>(null);
  const here = live.connection === 'live';
  const look = async (): Promise<void> => setFound(await usageAt(poolAddress(), DAYS));
  useEffect(() => {
    if (here) void look();
  }, [here]);
  return (
    <article class="device">
      <div class="headline">
        <h1>API keys</h1>
      </div>
      <div class="device-main">
        {found === null ? (
          <p class="loading">Asking the hub …</p>
        ) : found.kind === 'none' ? (
          <p class="lead">This hub keeps no count of what is asked: it passes no questions on to devices.</p>
        ) : found.kind === 'key-needed' ? (
          <>
            <p class="lead">Paste a key of this hub to see what was asked with it.</p>
            <KeyForm onUsed={look} />
          </>
        ) : (
          <Usage keys={found.keys} of={found.of} since={found.since} />
        )}
        {poolAddress().key !== '' && found?.kind === 'usage' && (
          <p class="actions">
            <button type="button" onClick={() => useKey('').then(look)}>
              Forget the key
            </button>
          </p>
        )}
      </div>
      <div class="device-side">
        <section aria-labelledby="make-title">
          <h2 id="make-title">Make and remove keys</h2>
          <p class="fine">
            On the hub's machine: <code>potluck serve keys add NAME</code> shows a key once; only its hash is kept.{' '}
            <code>--requests</code> and <code>--tokens</code> limit it, <code>--owners mine</code> gives what is asked
            with it only to your own devices. <code>potluck serve keys remove NAME</code> locks its holder out.
          </p>
        </section>
        <section aria-labelledby="counted-title">
          <h2 id="counted-title">What is counted</h2>
          <p class="fine">
            Requests, tokens, errors and refusals by day (UTC) and model, and nothing of what was asked or answered.
            Programs read the same at <code>/v1/usage</code>. A hub that is killed loses the last two seconds.
          </p>
          <p>
            <Link to={{ view: 'pool' }}>Who answers</Link>
          </p>
        </section>
      </div>
    </article>
  );
}

function Usage({ keys, of, since }: { keys: readonly KeyUsage[]; of: 'key' | 'all'; since: string }) {
  if (keys.length === 0) {
    const who = of === 'all' ? 'There are no keys, and nobody' : 'Nobody';
    return <p class="lead">{`${who} has asked anything since ${since}.`}</p>;
  }
  return (
    <>
      <p class="lead">{`Since ${since}: ${wordsOf(sumOf(keys.flatMap(({ days }) => days)))}.`}</p>
      {keys.map((key) => (
        <OneKey key={key.id} of={key} />
      ))}
    </>
  );
}

function OneKey({ of: { id, name, owners, days } }: { of: KeyUsage }) {
  return (
    <section>
      <h2>{id === 'anybody' ? 'Without a key' : name === null ? 'A key that was removed' : nameOf(name)}</h2>
      <p class="fine">
        <code>{short(id)}</code>
        {owners && `, only for devices of ${owners.map(short).join(', ')}`}
        {`: ${days.length === 0 ? 'not used' : wordsOf(sumOf(days))}.`}
      </p>
      {days.length > 0 && (
        <ul class="handed">
          {days.map((day) => (
            <li key={`${day.day} ${day.model}`}>
              <div>
                <b>{day.day}</b> {day.model === '' ? 'refused before it named a model' : nameOf(day.model)}
                <p class="fine">{wordsOf(day)}</p>
              </div>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function wordsOf({ requests, input_tokens, output_tokens, errors, too_many }: UsageCounts): string {
  return [
    countOf(requests, 'request'),
    `${formatWhole(input_tokens)} tokens read`,
    `${formatWhole(output_tokens)} written`,
    errors > 0 && countOf(errors, 'error'),
    too_many > 0 && `${formatWhole(too_many)} refused as too many`,
  ]
    .filter(Boolean)
    .join(' · ');
}

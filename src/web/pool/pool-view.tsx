// The pool: which devices answer callers here and how well, by region, and how to ask them.
import { useEffect } from 'preact/hooks';
import type { Fleet } from '../../protocol/fleet.ts';
import { CopyBox } from '../shell/copy-box.tsx';
import { countOf, formatCount, nameOf, short } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import type { Live, ViewProps } from '../shell/live.ts';
import { runOf } from '../shell/run-of.ts';
import { useStore } from '../shell/store.ts';
import { DayCurves } from './day-curves.tsx';
import { energyWords, factsOf, type Region, regionsOf, sumsOf } from './fleet-words.ts';
import { KeyForm } from './key-form.tsx';
import { pool, poolAddress, refreshPool, useKey } from './known-pool.ts';
import type { QuotaLeft } from './pool-client.ts';
import { RegionMap } from './region-map.tsx';
import { NO_POOL, useFleet } from './use-fleet.ts';

export function PoolView({ live }: ViewProps) {
  const here = live.connection === 'live';
  const fleet = useFleet(here);
  const known = useStore(pool);
  useEffect(() => {
    if (here) void refreshPool();
  }, [here, fleet?.devices]);
  const run = runOf({ view: 'pool' }, live);
  const regions = regionsOf(fleet?.rows ?? []);
  return (
    <article class="device">
      <div class="headline">
        <h1>The pool</h1>
      </div>
      <div class="device-main">
        {fleet === null ? (
          <p class="loading">Asking the hub …</p>
        ) : fleet === NO_POOL ? (
          <p class="lead">This hub passes no questions on to devices: its operator has named nobody who may ask.</p>
        ) : fleet.rows.length === 0 ? (
          <Nobody />
        ) : (
          <>
            <p class="lead">
              {countOf(fleet.devices, 'device')} {fleet.devices === 1 ? 'answers' : 'answer'} callers here;{' '}
              {countOf(fleet.answers, 'answer')} {fleet.answers === 1 ? 'is' : 'are'} being written.
            </p>
            <InAll fleet={fleet} />
            <RegionMap regions={regions} />
            <DayCurves day={fleet.day} />
            {regions.map((region) => (
              <RegionOf key={region.name} region={region} live={live} />
            ))}
          </>
        )}
      </div>
      <div class="device-side">
        <section aria-labelledby="ask-title">
          <h2 id="ask-title">Ask it</h2>
          {known?.kind === 'key-needed' ? (
            <>
              <p class="fine">The pool of this hub answers whoever has a key of its operator.</p>
              <KeyForm />
            </>
          ) : known?.kind === 'models' && known.models.length > 0 ? (
            <>
              <p class="fine">Any program that speaks OpenAI's API can ask. The models here:</p>
              <ul class="fine">
                {known.models.map(({ name, quantisation }) => (
                  <li key={name}>
                    <code>{name}</code> {quantisation}
                  </li>
                ))}
              </ul>
              <p>
                <Link to={{ view: 'keys' }}>API keys and what was asked with them</Link>
              </p>
              <CopyBox text={curlOf(known.models[0].name)} />
              <Quota left={known.left} />
              {run && (
                <p>
                  <Link to={{ view: 'play', run }}>Let it write in Play</Link>
                </p>
              )}
            </>
          ) : (
            <p class="fine">No model is served now.</p>
          )}
        </section>
        <section aria-labelledby="read-title">
          <h2 id="read-title">Who can read this</h2>
          <p class="fine">
            The device that answers reads what it is asked, and so can its owner; now and then another device reads it
            again, to check the answer. This hub passes it on and writes nothing of it down. What must stay with you
            belongs on devices of your own: a key made with <code>--owners mine</code>, or the header{' '}
            <code>potluck-trust: mine</code>, gives it to no others.
          </p>
        </section>
      </div>
    </article>
  );
}

/** The pool in one line. */
function InAll({ fleet: { rows } }: { fleet: Fleet }) {
  const { tokens_per_second, places, energy } = sumsOf(rows);
  const facts = [
    tokens_per_second > 0 ? `${formatCount(tokens_per_second)} tokens/s, measured` : 'No speed measured yet',
    `room for ${countOf(places, 'more answer')}`,
    ...(energy ? [energyWords(energy)] : []),
  ];
  return <p class="fine">{facts.join(' · ')}</p>;
}

const curlOf = (model: string): string =>
  `curl ${location.origin}/v1/completions -H 'content-type: application/json' -d '${JSON.stringify({ model, prompt: 'The ', max_tokens: 60 })}'`;

function Nobody() {
  return (
    <>
      <p class="lead">No device answers callers here now.</p>
      <p>
        Yours can: <code>potluck join {location.origin} --serve</code> trains and answers, <code>--serve-only</code>{' '}
        only answers.
      </p>
    </>
  );
}

function RegionOf({ region, live }: { region: Region; live: Live }) {
  return (
    <section>
      <h2>{region.name}</h2>
      <p class="fine">
        {countOf(region.rows.length, 'offer')}, {formatCount(region.tokens_per_second)} tokens/s.
      </p>
      <ul class="handed">
        {region.rows.map((row) => {
          const peer = [...live.runs.values()].map(({ peers }) => peers.get(row.device)).find((found) => found);
          return (
            <li key={`${row.device} ${row.model} ${row.quantisation}`}>
              <div>
                <b>{peer?.name ? nameOf(peer.name) : short(row.device)}</b>{' '}
                {row.name ? nameOf(row.name) : short(row.model)} <code>{row.quantisation}</code>, {row.engine}
                <p class="fine">{factsOf(row).join(' · ')}</p>
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** What the key, or whoever needs none, may still ask in this minute. */
function Quota({ left: { requests, tokens } }: { left: QuotaLeft }) {
  const facts = [
    requests && `${requests[0]} of ${countOf(requests[1], 'request')}`,
    tokens && `${tokens[0]} of ${countOf(tokens[1], 'token')}`,
  ].filter(Boolean);
  return (
    <>
      {facts.length > 0 && <p class="fine">Left in this minute: {facts.join(', ')}.</p>}
      {poolAddress().key !== '' && (
        <p class="actions">
          <button type="button" onClick={() => useKey('')}>
            Forget the key
          </button>
        </p>
      )}
    </>
  );
}

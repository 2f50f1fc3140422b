// All devices of this browser's person, wherever they are: what each does and why, what it is set to, and what its owner wants of it.
import { useState } from 'preact/hooks';
import { capital, countOf, formatCount, formatDuration, nameOf, short } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import type { Live, ViewProps } from '../shell/live.ts';
import type { OwnDevice } from './devices-messages.ts';
import { type DevicesSeen, useDevicesWorker } from './use-devices-worker.ts';
import './devices.css';

export function DevicesView({ live }: ViewProps) {
  const seen = useDevicesWorker();
  const { devices, isNobody, busy, tell } = seen;
  const able = devices?.filter(({ revoked }) => !revoked) ?? [];
  const working = able.filter(({ standing }) => standing === 'works' || standing === 'slower');
  return (
    <article class="device">
      <div class="headline">
        <h1>Your devices</h1>
      </div>
      <div class="device-main">
        {isNobody || devices?.length === 0 ? (
          <Nobody isNobody={isNobody} />
        ) : devices === null ? (
          <p class="loading">Asking the hub …</p>
        ) : (
          <>
            <p class="lead">
              {working.length} of {countOf(able.length, 'device')} {working.length === 1 ? 'works' : 'work'}.
            </p>
            <p class="actions">
              <button
                type="button"
                disabled={busy}
                onClick={() => tell({ kind: 'want', devices: able, paused: true }, 'All devices are to pause.')}
              >
                Pause all
              </button>
              <button
                type="button"
                disabled={busy}
                onClick={() => tell({ kind: 'want', devices: able, paused: false }, 'All devices may go on.')}
              >
                Let all go on
              </button>
            </p>
            <ul class="handed">
              {devices.map((device) => (
                <DeviceRow key={device.device} device={device} live={live} seen={seen} />
              ))}
            </ul>
          </>
        )}
        {able.length === 0 && <Said seen={seen} />}
      </div>
      <div class="device-side">
        {able.length > 0 && <SetForm able={able} seen={seen} />}
        <section aria-labelledby="sealed-title">
          <h2 id="sealed-title">Who can read this</h2>
          <p class="fine">
            You, and nobody else: each device seals what it tells to your key, and takes only what your key has signed
            for it. The hub passes the letters on and sees whose they are and when they come. Somebody at the machine
            itself can always pause it, or have it take nothing from elsewhere.
          </p>
        </section>
      </div>
    </article>
  );
}

function Nobody({ isNobody }: { isNobody: boolean }) {
  return (
    <>
      <p class="lead">
        {isNobody
          ? 'This browser has no key of yours yet, so that it cannot know your devices.'
          : 'No device works for the key of this browser on this hub.'}
      </p>
      <p>
        Devices belong together when they have the same 24 words: bring yours here, or show those of this browser and
        give them to <code>potluck id import --phrase</code> on your other machines. Under “Who earns it” of{' '}
        <Link to={{ view: 'home' }}>My device</Link> you can show, scan and enter them.
      </p>
    </>
  );
}

/** What became of the last order, or why there is nothing to see. */
function Said({ seen: { busy, said, problem } }: { seen: DevicesSeen }) {
  return (
    <>
      <p class="fine" role="status">
        {busy ? 'Signing and sending …' : said && `${said} It is heard within half a minute.`}
      </p>
      {problem && (
        <p class="note" role="alert">
          {capital(problem)}
        </p>
      )}
    </>
  );
}

const STANDINGS: Readonly<Record<OwnDevice['standing'], string>> = {
  works: 'works',
  slower: 'works slower',
  paused: 'paused',
  off: 'off',
  silent: 'has told nothing',
};

const calledOf = ({ device, report }: OwnDevice): string => (report ? nameOf(report.name) : short(device));

function DeviceRow({ device, live, seen: { busy, tell } }: { device: OwnDevice; live: Live; seen: DevicesSeen }) {
  const { standing, report, age_ms, wanted, revoked } = device;
  const name = calledOf(device);
  const isHere = standing !== 'off' && standing !== 'silent';
  const peer = [...live.runs.values()].map(({ peers }) => peers.get(device.device)).find((found) => found);
  const facts = [
    isHere && report?.doing,
    isHere && report?.speed && `${formatCount(report.speed.amount_per_second)} ${nameOf(report.speed.unit)}/s`,
    isHere && report?.temperature_c !== null && report && `${report.temperature_c} °C`,
    report?.today && `today ${report.today.kwh.toFixed(2)} kWh, ${formatCount(report.today.shares)} shares`,
    peer && peer.credit_amount > 0 && `${formatCount(peer.credit_amount)} credited`,
    age_ms !== null && `heard ${formatDuration(age_ms)} ago`,
  ].filter(Boolean);
  const isPaused = wanted?.paused ?? false;
  return (
    <li class="fleet">
      <div>
        <b class={standing === 'works' ? 'on' : undefined}>{name}</b> {revoked ? 'revoked' : STANDINGS[standing]}
        <p class="fine">{facts.join(' · ')}</p>
        {whyOf(device).map((line) => (
          <p key={line} class="fine why">
            {capital(line)}.
          </p>
        ))}
        {report && <SetOnIt report={report} wanted={wanted} />}
      </div>
      {!revoked && (
        <button
          type="button"
          disabled={busy}
          aria-label={isPaused ? `Let ${name} go on` : `Pause ${name}`}
          onClick={() =>
            tell(
              { kind: 'want', devices: [device], paused: !isPaused },
              isPaused ? `${name} may go on.` : `${name} is to pause.`,
            )
          }
        >
          {isPaused ? 'Go on' : 'Pause'}
        </button>
      )}
    </li>
  );
}

/** Why it does no more, and which of its owner's wishes it has not followed. */
function whyOf({ standing, report, wanted, taken, problem }: OwnDevice): string[] {
  const lines = standing === 'off' ? [] : (report?.reasons ?? []).map(({ message }) => message);
  if (problem) lines.push(`What it told is not believed: ${problem}`);
  if (report?.refused) lines.push(`It did not take what you have set: ${report.refused}`);
  else if (wanted && report?.accepts === false) lines.push('This machine takes nothing from elsewhere');
  else if (wanted && !taken) lines.push('It has not heard yet what you want of it');
  return lines;
}

function SetOnIt({ report, wanted }: { report: NonNullable<OwnDevice['report']>; wanted: OwnDevice['wanted'] }) {
  const set = Object.entries({ ...report.settings, ...wanted?.settings });
  if (set.length === 0) return null;
  return (
    <details>
      <summary>{countOf(set.length, 'setting')}</summary>
      <ul class="fine">
        {set.map(([name, value]) => (
          <li key={name}>
            <code>
              {name} {JSON.stringify(value)}
            </code>
            {wanted && name in wanted.settings && ' by you, from elsewhere'}
          </li>
        ))}
      </ul>
    </details>
  );
}

const ALL = '';

function SetForm({ able, seen }: { able: readonly OwnDevice[]; seen: DevicesSeen }) {
  const { settings, busy, tell } = seen;
  const [whose, setWhose] = useState(ALL);
  const [name, setName] = useState('hours');
  const [text, setText] = useState('');
  const meaning = settings.find((one) => one.name === name)?.meaning;
  const chosen = able.filter(({ device }) => whose === ALL || device === whose);
  const set = (value: string): void => {
    const many = chosen.length === 1 ? calledOf(chosen[0]) : countOf(chosen.length, 'device');
    const words = value === 'default' ? `${name} is taken back` : `${name} is set`;
    tell({ kind: 'want', devices: chosen, name, text: value }, `${capital(words)} for ${many}.`);
  };
  return (
    <section aria-labelledby="set-title">
      <h2 id="set-title">Set</h2>
      <form
        class="prompt"
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim() !== '') set(text);
        }}
      >
        <label>
          For
          <select value={whose} onChange={(event) => setWhose(event.currentTarget.value)}>
            <option value={ALL}>all of them</option>
            {able.map((device) => (
              <option key={device.device} value={device.device}>
                {calledOf(device)}
              </option>
            ))}
          </select>
        </label>
        <label>
          Setting
          <select value={name} onChange={(event) => setName(event.currentTarget.value)}>
            {settings.map((one) => (
              <option key={one.name}>{one.name}</option>
            ))}
          </select>
        </label>
        <label>
          {capital(meaning ?? 'Value')}
          <input
            value={text}
            placeholder={name.endsWith('hours') ? 'mon-fri 22:00-07:00' : 'true, false, a number or null'}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <p class="actions">
          <button type="submit" class="primary" disabled={busy || text.trim() === ''}>
            Set
          </button>
          <button type="button" disabled={busy} onClick={() => set('default')}>
            Take back
          </button>
        </p>
      </form>
      <Said seen={seen} />
      <p class="fine">“Take back” lets what is set at the machine itself count again.</p>
    </section>
  );
}

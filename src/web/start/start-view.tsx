// Start a run: the settings of `potluck run create` in a form, with a forecast before anything is sent.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { IdentityBox } from '../device/identity-box.tsx';
import { ShareDialog } from '../run/share-dialog.tsx';
import { Link } from '../shell/link.tsx';
import type { Live, ViewProps } from '../shell/live.ts';
import { type Draft, FIRST_DRAFT, labelOf, missingIn, planOf } from './draft.ts';
import { DryRun } from './dry-run.tsx';
import { Field } from './field.tsx';
import type { Plan } from './plan.ts';
import { PlanFields } from './plan-fields.tsx';
import type { StartNews, StartOrder } from './start-messages.ts';
import { TextInput } from './text-input.tsx';
import { useDevices } from './use-devices.ts';

export function StartView({ live }: ViewProps) {
  const [draft, setDraft] = useState<Draft>(FIRST_DRAFT);
  const { news, send, forget } = useStarter();
  const devices = useDevices(live);
  const { plan, problems } = useMemo(() => planOf(draft), [draft]);
  const change = (part: Partial<Draft>): void => {
    setDraft((before) => ({ ...before, ...part }));
    if (news?.kind === 'failed') forget(); // the person may have fixed the cause
  };
  if (news?.kind === 'created')
    return <Created run={news.run} name={draft.name} min_workers={Number(draft.min_workers)} />;
  const busy = news?.kind === 'progress';
  const [wrong] = problems.keys();
  const lacking = wrong ? `“${labelOf(wrong)}” is not right yet.` : plan && missingIn(plan);
  return (
    <article class="start">
      <div class="headline">
        <h1>Start a run</h1>
      </div>
      <p class="lead">
        Give it a name, a text to learn from, and a size. This page cuts the text into tokens and sends them to the hub,
        where everybody can read them: choose a text that may be public.
      </p>
      <form
        class="plan"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (plan && !lacking && !busy) send(plan);
        }}
      >
        <div class="plan-fields">
          <Field
            id="name"
            label="Name"
            maxLength={80}
            value={draft.name}
            problem={problems.get('name')}
            onText={(name) => change({ name })}
          />
          <TextInput text={draft.text} onText={(text) => change({ text })} />
          <PlanFields draft={draft} problems={problems} onChange={change} />
        </div>
        <div class="plan-outcome">
          <DryRun plan={plan} devices={devices} waiting={workersHere(live)} />
          <p class="actions">
            <button
              type="submit"
              class="primary large"
              disabled={busy || Boolean(lacking) || live.connection !== 'live'}
              aria-describedby="lacking"
            >
              {busy ? `${news.what} …` : 'Start the run'}
            </button>
            <small id="lacking">{lacking}</small>
          </p>
          {news?.kind === 'failed' && (
            <p class="verdict bad" role="alert">
              <b>The run was not started.</b> {news.message}
            </p>
          )}
        </div>
      </form>
      <p class="fine">
        For larger texts, other tokenizers, or a model to continue from, use a terminal:{' '}
        <code>npx potluck run create --hub {location.origin} --help</code>
      </p>
    </article>
  );
}

function Created({ run, name, min_workers }: { run: string; name: string; min_workers: number }) {
  const [sharing, setSharing] = useState(false);
  return (
    <section class="empty">
      <h1>Your run is open</h1>
      <p>
        It begins as soon as {min_workers === 1 ? 'a device comes' : `${min_workers} devices come`}. Lend this one, or
        share the link.
      </p>
      <p class="fine">
        It belongs to the key in this browser: only with that key can it be paused, ended or given other rules. Keep the
        key's 24 words: they are under My device.
      </p>
      <p class="actions">
        <Link to={{ view: 'run', run }} class="button primary">
          Watch it
        </Link>
        <Link to={{ view: 'device', run }} class="button">
          Lend this device
        </Link>
        <button type="button" onClick={() => setSharing(true)}>
          Share
        </button>
      </p>
      {sharing && <ShareDialog run={{ run, name }} onClose={() => setSharing(false)} />}
      <p>
        You own it: only the key in this browser can pause, resume or end it. Keep the key’s 24 words, and you can do so
        from another device, too.
      </p>
      <IdentityBox work={null} />
    </section>
  );
}

/** The Worker that creates a run, and its last message. It ends with the view. */
function useStarter() {
  const [news, setNews] = useState<StartNews | null>(null);
  const worker = useRef<Worker | null>(null);
  useEffect(() => () => worker.current?.terminate(), []);
  const send = (plan: Plan): void => {
    setNews({ kind: 'progress', what: 'starting' });
    // In one expression, because bundlers recognise this pattern.
    const started = new Worker(new URL('./start-worker.ts', import.meta.url), { type: 'module' });
    worker.current = started;
    started.onmessage = ({ data }: MessageEvent<StartNews>) => {
      setNews(data);
      if (data.kind !== 'progress') started.terminate();
    };
    started.onerror = (failure) => {
      started.terminate();
      setNews({ kind: 'failed', message: failure.message || 'the Worker could not be started' });
    };
    started.postMessage({ url: location.origin, plan } satisfies StartOrder);
  };
  return { news, send, forget: () => setNews(null) };
}

const workersHere = ({ runs }: Live): number =>
  [...runs.values()]
    .flatMap(({ peers }) => [...peers.values()])
    .filter((peer) => peer.present && peer.role === 'worker').length;

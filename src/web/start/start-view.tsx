// Start a run: what `potluck run create` takes, in a form, with what it would mean before anything is sent.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ViewProps } from '../app.tsx';
import { formatCount, formatDuration, formatWhole } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import { type Forecast, forecast, type Plan, SIZES, type Size } from './plan.ts';
import type { StartNews, StartOrder } from './start-messages.ts';
import { useDevices } from './use-devices.ts';

const FIRST: Plan = {
  name: '',
  text: '',
  size: 'small',
  rounds: 60,
  round_seconds: 30,
  steps: 30,
  batch: 12,
  learning_rate: 1e-3,
  min_workers: 1,
};
const SIZE_NAMES: Readonly<Record<Size, string>> = { small: 'Small', medium: 'Medium', large: 'Large' };
/** More belongs into files, which the command reads piece by piece. */
const TEXT_BYTES = 16 << 20;

export function StartView({ live }: ViewProps) {
  const [plan, setPlan] = useState<Plan>(FIRST);
  const [news, setNews] = useState<StartNews | null>(null);
  const worker = useRef<Worker | null>(null);
  useEffect(() => () => worker.current?.terminate(), []);
  const devices = useDevices(live);
  const { name: _name, text: _text, ...measures } = plan;
  const expected = useMemo(() => forecast(measures, devices), [plan, devices]);
  const change = (part: Partial<Plan>): void => setPlan((before) => ({ ...before, ...part }));

  const start = (event: Event): void => {
    event.preventDefault();
    setNews({ kind: 'progress', what: 'starting' });
    // Written in one expression, because bundlers look for this pattern.
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
    started.postMessage({ url: location.origin, plan: { ...plan, name: plan.name.trim() } } satisfies StartOrder);
  };

  if (news?.kind === 'created') {
    return (
      <section class="empty">
        <h1>The run is there</h1>
        <p>
          It begins as soon as {plan.min_workers === 1 ? 'a device comes' : `${plan.min_workers} devices come`}. Lend
          this tab, or share the link.
        </p>
        <p class="actions">
          <Link to={{ view: 'run', run: news.run }} class="button primary">
            Watch it
          </Link>
          <Link to={{ view: 'device', run: news.run }} class="button">
            Lend this device
          </Link>
        </p>
      </section>
    );
  }
  const busy = news?.kind === 'progress';
  return (
    <article class="start">
      <div class="headline">
        <h1>Start a run</h1>
      </div>
      <p class="lead">
        A name, a text to learn from, and a size. The text is cut into tokens here and goes to the hub, where everybody
        can read it: choose one that may be public.
      </p>
      <form class="plan" onSubmit={start}>
        <label>
          Name
          <input
            required
            maxLength={80}
            value={plan.name}
            onInput={(event) => change({ name: event.currentTarget.value })}
          />
        </label>
        <TextInput text={plan.text} onText={(text) => change({ text })} />
        <fieldset class="sizes">
          <legend>Size of the model</legend>
          {(Object.keys(SIZES) as Size[]).map((size) => (
            <label key={size} class="inline">
              <input type="radio" name="size" checked={plan.size === size} onChange={() => change({ size })} />
              {SIZE_NAMES[size]}, {SIZES[size].num_hidden_layers} layers of {SIZES[size].hidden_size}
            </label>
          ))}
        </fieldset>
        <div class="numbers">
          <NumberInput
            name="Rounds"
            value={plan.rounds}
            min={1}
            max={1_000_000}
            onValue={(rounds) => change({ rounds })}
          />
          <NumberInput
            name="Seconds a round, at most"
            value={plan.round_seconds}
            min={1}
            max={86_400}
            onValue={(round_seconds) => change({ round_seconds })}
          />
          <NumberInput
            name="Steps a round, at most"
            value={plan.steps}
            min={1}
            max={100_000}
            onValue={(steps) => change({ steps })}
          />
          <NumberInput
            name="Devices to wait for"
            value={plan.min_workers}
            min={1}
            max={1000}
            onValue={(min_workers) => change({ min_workers })}
          />
        </div>
        <DryRun plan={plan} expected={expected} devices={devices.length} />
        <p class="actions">
          <button type="submit" class="primary large" disabled={busy || plan.text === '' || live.connection !== 'live'}>
            {busy ? `${news.what} …` : 'Start it'}
          </button>
        </p>
        {news?.kind === 'failed' && (
          <p class="verdict bad" role="alert">
            <b>It was not started.</b> {news.message}
          </p>
        )}
      </form>
      <p class="fine">
        Larger texts, other tokenizers, a model to go on from:{' '}
        <code>npx potluck run create --hub {location.origin} --help</code>
      </p>
    </article>
  );
}

function TextInput({ text, onText }: { text: string; onText: (text: string) => void }) {
  const [problem, setProblem] = useState('');
  const read = async (files: FileList | null): Promise<void> => {
    const list = [...(files ?? [])];
    const size_bytes = list.reduce((sum, file) => sum + file.size, 0);
    if (size_bytes > TEXT_BYTES) {
      setProblem(`At most ${TEXT_BYTES >> 20} MB here; the command takes any number of files.`);
      return;
    }
    setProblem('');
    onText((await Promise.all(list.map((file) => file.text()))).join('\n\n'));
  };
  return (
    <>
      <label>
        Text to learn from, as files
        <input
          type="file"
          multiple
          accept=".txt,.md,text/*"
          onChange={(event) => void read(event.currentTarget.files)}
        />
      </label>
      <label class="wide">
        or pasted here
        <textarea rows={4} value={text.slice(0, 5000)} onInput={(event) => onText(event.currentTarget.value)} />
      </label>
      <p class="fine" role="status">
        {problem ||
          (text === ''
            ? ''
            : `${formatWhole(text.length)} characters${text.length > 5000 ? ', of which the first 5,000 are shown' : ''}.`)}
      </p>
    </>
  );
}

function NumberInput(props: {
  name: string;
  value: number;
  min: number;
  max: number;
  onValue: (value: number) => void;
}) {
  const { name, value, min, max, onValue } = props;
  return (
    <label>
      {name}
      <input
        type="number"
        required
        value={value}
        min={min}
        max={max}
        onInput={(event) => {
          const next = event.currentTarget.valueAsNumber;
          if (Number.isInteger(next) && next >= min && next <= max) onValue(next);
        }}
      />
    </label>
  );
}

function DryRun({ plan, expected, devices }: { plan: Plan; expected: Forecast; devices: number }) {
  const { parameters, tokens_a_round, most_ms, expected_ms, slowest_steps } = expected;
  const bytes = new Blob([plan.text]).size;
  return (
    <section class="dry-run" aria-labelledby="dry-title" aria-live="polite">
      <h2 id="dry-title">What that means</h2>
      <p>
        <b>{formatCount(parameters)} parameters</b>; a device that finishes a round learns from{' '}
        {formatCount(tokens_a_round)} tokens.
        {bytes > 0 &&
          ` The text has ${formatCount(bytes)}: one device goes through it ${((tokens_a_round * plan.rounds) / bytes).toFixed(1)} times.`}
      </p>
      <p>
        {expected_ms === null
          ? `Nobody is at work on this hub to measure by. It takes at most ${formatDuration(most_ms)} of training.`
          : `With the ${devices === 1 ? 'device' : `${devices} devices`} at work here now, about ${formatDuration(expected_ms)} of training; at most ${formatDuration(most_ms)}.`}
        {slowest_steps !== null &&
          slowest_steps < plan.steps &&
          ` The slowest gets ${slowest_steps} of ${plan.steps} steps done in a round.`}
      </p>
    </section>
  );
}

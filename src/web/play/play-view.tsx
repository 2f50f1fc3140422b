// Talk to the present model: it is fetched into this browser and writes here, so that it goes on when the hub is away.
import { useEffect, useState } from 'preact/hooks';
import type { ViewProps } from '../app.tsx';
import { formatCount, nameOf, short } from '../shell/format.ts';
import type { ModelState } from './use-model.ts';
import { useModel } from './use-model.ts';

const LENGTHS = [60, 200, 600] as const;

export function PlayView({ live, run }: ViewProps & { run: string }) {
  const overview = live.runs.get(run)?.overview;
  const { state, write, stop } = useModel(run);
  const [prompt, setPrompt] = useState('The ');
  const [length, setLength] = useState<number>(200);
  const [temperature, setTemperature] = useState(0.7);
  const [again, setAgain] = useState(false);
  const [seed, setSeed] = useState(1);
  const busy = state.phase === 'loading' || state.phase === 'writing';

  const begin = (next: number): void => {
    setSeed(next);
    write({ prompt, max_tokens: length, temperature, seed: next });
  };
  const newest = overview?.model;
  // The same prompt and seed after each round: what changes is the model.
  useEffect(() => {
    if (again && state.model && newest && newest !== state.model.hash && !busy) begin(seed);
  }, [again, newest, busy]);

  if (!overview && live.connection === 'live' && !state.model) return <p class="loading">This hub has no such run.</p>;
  if (overview && overview.game !== 'pretrain') {
    return (
      <p class="loading">
        “{nameOf(overview.name)}” trains no model that writes: it plays {overview.game}.
      </p>
    );
  }
  return (
    <article class="play">
      <div class="headline">
        <h1>Play</h1>
      </div>
      <p class="lead">
        The present model{overview && <> of “{nameOf(overview.name)}”</>}, in your own browser: fetched once, proved by
        its hash, and from then on it writes without the hub. It continues whatever you begin.
      </p>
      <form
        class="prompt"
        onSubmit={(event) => {
          event.preventDefault();
          begin(seed + 1);
        }}
      >
        <label>
          Begin a text
          <textarea rows={3} value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} />
        </label>
        <div class="actions">
          {busy ? (
            <button type="button" onClick={stop} disabled={state.phase === 'loading'}>
              {state.phase === 'loading' ? `Fetching ${state.loading} …` : 'Stop'}
            </button>
          ) : (
            <button type="submit" class="primary" disabled={prompt === ''}>
              {state.text === '' ? 'Let it write' : 'Write another'}
            </button>
          )}
          <label class="inline">
            Length
            <select value={length} onChange={(event) => setLength(Number(event.currentTarget.value))}>
              {LENGTHS.map((tokens) => (
                <option key={tokens} value={tokens}>
                  {tokens} tokens
                </option>
              ))}
            </select>
          </label>
          <label class="inline">
            Daring {temperature.toFixed(1)}
            <input
              type="range"
              min="0"
              max="1.5"
              step="0.1"
              value={temperature}
              onInput={(event) => setTemperature(Number(event.currentTarget.value))}
            />
          </label>
          <label class="inline check">
            <input type="checkbox" checked={again} onChange={(event) => setAgain(event.currentTarget.checked)} />
            Again after every round
          </label>
        </div>
      </form>
      {state.problem && (
        <p class="verdict bad" role="alert">
          {state.problem}
        </p>
      )}
      <Written prompt={prompt} state={state} />
      {state.model && <About state={state} newest={newest ?? null} />}
    </article>
  );
}

function Written({ prompt, state }: { prompt: string; state: ModelState }) {
  if (state.text === '') {
    if (state.phase !== 'asleep') return null;
    return <p class="fine">Fetches the model and what computes when you press the button, and nothing before.</p>;
  }
  return (
    <blockquote class="written" aria-live="off" aria-busy={state.phase === 'writing'}>
      <span class="prompted">{prompt}</span>
      {state.text}
      {state.phase === 'writing' && <span class="caret" />}
    </blockquote>
  );
}

function About({ state: { model, speed }, newest }: { state: ModelState; newest: string | null }) {
  if (!model) return null;
  return (
    <p class="fine">
      Model <code>{short(model.hash)}</code> after {model.merged_rounds} rounds: {formatCount(model.parameters)}{' '}
      parameters in {model.layers} layers, {model.context} tokens of context, on {model.threads}{' '}
      {model.threads === 1 ? 'thread' : 'threads'}
      {speed !== null && `, ${speed.toFixed(0)} tokens a second here`}.
      {newest !== null && newest !== model.hash && ' There is a newer one: the next text is written with it.'}
    </p>
  );
}

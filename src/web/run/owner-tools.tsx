// What the owner of a run can do with it, where the owner's key is in this browser: pause, resume, end.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { RunOverview } from '../../protocol/messages.ts';
import type { OwnerNews, OwnerOrder, OwnersWord } from './owner-messages.ts';

export function OwnerTools({ run }: { run: RunOverview }) {
  const [sure, setSure] = useState(false);
  const { busy, waits, problem, tell } = useOwnersWord(run.run);
  if (run.phase === 'finished') return null;
  const paused = run.phase === 'paused';
  return (
    <section class="owner" aria-labelledby="owner-title">
      <h2 id="owner-title">This run is yours</h2>
      {sure ? (
        <>
          <p>
            End it for good? The open round is merged first. What is merged stays and can be taken home; nothing can be
            added after that.
          </p>
          <p class="actions">
            <button
              type="button"
              disabled={busy}
              onClick={() => {
                setSure(false);
                tell('run.ended');
              }}
            >
              End the run
            </button>
            <button type="button" onClick={() => setSure(false)}>
              Keep it
            </button>
          </p>
        </>
      ) : (
        <p class="actions">
          <button type="button" disabled={busy} onClick={() => tell(paused ? 'run.resumed' : 'run.paused')}>
            {paused ? 'Resume' : 'Pause'}
          </button>
          <button type="button" disabled={busy} onClick={() => setSure(true)}>
            End …
          </button>
        </p>
      )}
      <p class="fine" role="status">
        {busy ? 'Signing and sending …' : waits && !paused ? 'The open round is judged, merged and paid first.' : ''}
      </p>
      {problem && (
        <p class="note" role="alert">
          {problem}
        </p>
      )}
    </section>
  );
}

/** One request at a time; its effect shows in the run itself. */
function useOwnersWord(run: string) {
  const worker = useRef<Worker | null>(null);
  const [busy, setBusy] = useState(false);
  const [waits, setWaits] = useState(false);
  const [problem, setProblem] = useState('');
  useEffect(() => () => worker.current?.terminate(), [run]);
  const done = (message: string): void => {
    worker.current?.terminate();
    worker.current = null;
    setBusy(false);
    setProblem(message);
  };
  const tell = (word: OwnersWord): void => {
    // In one expression, because bundlers recognise this pattern.
    const started = new Worker(new URL('./owner-worker.ts', import.meta.url), { type: 'module' });
    worker.current = started;
    setBusy(true);
    setProblem('');
    started.onmessage = ({ data }: MessageEvent<OwnerNews>) => {
      setWaits(data.kind === 'said' && data.merges_first !== null);
      done(data.kind === 'failed' ? data.message : '');
    };
    started.onerror = (failure) => done(failure.message || 'The Worker that signs could not be started.');
    started.postMessage({ url: location.origin, run, word } satisfies OwnerOrder);
  };
  return { busy, waits, problem, tell };
}

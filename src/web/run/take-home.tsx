// Downloads a run's current model: the files that transformers and other tools read, from the page or by a command.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { RunOverview } from '../../protocol/messages.ts';
import { CopyBox } from '../shell/copy-box.tsx';
import { formatBytes, formatWhole } from '../shell/format.ts';
import { save } from './chart-files.ts';
import type { HomeFile, HomeNews, HomeOrder } from './owner-messages.ts';

export function TakeHome({ run }: { run: RunOverview }) {
  const { news, prepare } = useHome(run.run);
  const busy = news?.kind === 'progress';
  return (
    <>
      {news?.kind === 'ready' ? (
        <>
          <p>
            The model of {formatWhole(news.merged_rounds)} {news.merged_rounds === 1 ? 'round' : 'rounds'}. Put the
            files into one folder; transformers and other tools load it.
          </p>
          <ul class="files">
            {news.files.toReversed().map((file) => (
              <FileLink key={file.name} file={file} />
            ))}
          </ul>
          <p class="fine">
            The model's name in the log, which names every part of it by its hash: <code>{news.model}</code>
          </p>
        </>
      ) : (
        <p class="actions">
          <button type="button" disabled={busy} onClick={prepare}>
            {busy ? `${news.what} …` : 'Get the files'}
          </button>
        </p>
      )}
      {news?.kind === 'failed' && (
        <p class="note" role="alert">
          The files could not be made ready. {news.message}
        </p>
      )}
      <p class="fine">Or use a terminal, which adds proof of where the model comes from:</p>
      <CopyBox text={`npx potluck export ${run.run.slice(0, 12)} ./model --hub ${location.origin}`} />
    </>
  );
}

function FileLink({ file: { name, content } }: { file: HomeFile }) {
  return (
    <li>
      <button type="button" onClick={() => save(name, content)}>
        {name}
      </button>{' '}
      <small>{formatBytes(content.size)}</small>
    </li>
  );
}

function useHome(run: string) {
  const worker = useRef<Worker | null>(null);
  const [news, setNews] = useState<HomeNews | null>(null);
  useEffect(
    () => () => {
      worker.current?.terminate();
      setNews(null);
    },
    [run],
  );
  const prepare = (): void => {
    setNews({ kind: 'progress', what: 'Starting' });
    // In one expression, because bundlers recognise this pattern.
    const started = new Worker(new URL('./home-worker.ts', import.meta.url), { type: 'module' });
    worker.current = started;
    started.onmessage = ({ data }: MessageEvent<HomeNews>) => {
      setNews(data);
      if (data.kind !== 'progress') started.terminate();
    };
    started.onerror = (failure) => setNews({ kind: 'failed', message: failure.message || 'The Worker did not start.' });
    started.postMessage({ url: location.origin, run } satisfies HomeOrder);
  };
  return { news, prepare };
}

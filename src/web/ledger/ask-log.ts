// Asks a Worker a question that needs a replay of the log; each question has its own Worker, which ends with it.
import type { LogNews, LogOrder, LogPlace } from './log-messages.ts';

/** Calls back with progress, and then once with the answer. Returns a function that gives up. */
export function askLog(place: LogPlace, order: LogOrder, onNews: (news: LogNews) => void): () => void {
  // In one expression, because bundlers recognise this pattern.
  const worker = new Worker(new URL('./log-worker.ts', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data }: MessageEvent<LogNews>) => {
    if (data.kind !== 'progress') worker.terminate();
    onNews(data);
  };
  worker.onerror = (event) => {
    worker.terminate();
    event.preventDefault();
    onNews({
      kind: 'problem',
      message: event.message || 'the code that checks the log could not be downloaded from the hub',
    });
  };
  worker.postMessage({ place, order });
  return () => worker.terminate();
}

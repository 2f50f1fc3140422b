// Asks a Worker something that takes a replay of the log; one Worker a question, which ends with it.
import type { LogNews, LogOrder, LogPlace } from './log-messages.ts';

/** Calls back with progress and then once with the answer. Returns what gives up. */
export function askLog(place: LogPlace, order: LogOrder, onNews: (news: LogNews) => void): () => void {
  // Written in one expression, because bundlers look for this pattern.
  const worker = new Worker(new URL('./log-worker.ts', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data }: MessageEvent<LogNews>) => {
    if (data.kind !== 'progress') worker.terminate();
    onNews(data);
  };
  worker.onerror = (event) => {
    worker.terminate();
    event.preventDefault();
    onNews({ kind: 'problem', message: event.message || 'what checks the log could not be fetched from the hub' });
  };
  worker.postMessage({ place, order });
  return () => worker.terminate();
}

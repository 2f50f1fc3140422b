// The progress of reading or sending a text: a bar in a terminal, elsewhere a line from time to time.
import { formatDuration } from '../protocol/duration.ts';
import { bar } from './dashboard.ts';
import { formatBytes, type Output } from './output.ts';
import { progressLine } from './progress-line.ts';

const EVERY_MS = { json: 1000, plain: 10_000 } as const;
const BAR_COLUMNS = 24;

export interface BytesProgress {
  /** So many bytes are done; `total_bytes` is null where the total is unknown. */
  at(what: string, done_bytes: number, total_bytes: number | null): void;
  /** Clears the line, so that others can be printed. */
  end(): void;
}

/** 45200000 of 200000000 → "45.2 of 200 MB". */
export function bytesOf(done_bytes: number, total_bytes: number | null): string {
  if (total_bytes === null) return formatBytes(done_bytes);
  const [total, unit] = formatBytes(total_bytes).split(' ');
  const scale = Number(total) / total_bytes;
  return `${(done_bytes * scale).toFixed(total.split('.')[1]?.length ?? 0)} of ${total} ${unit}`;
}

/** "reading 45.2 of 200 MB, 12.3 MB/s, 13 s left". */
export function progressSentence(
  what: string,
  done_bytes: number,
  total_bytes: number | null,
  since_ms: number,
): string {
  const a_second = (1000 * done_bytes) / Math.max(1, since_ms);
  const left =
    total_bytes === null || a_second === 0
      ? ''
      : `, ${formatDuration(Math.max(1000, (1000 * (total_bytes - done_bytes)) / a_second))} left`;
  const ended = total_bytes !== null && done_bytes >= total_bytes;
  return `${what} ${bytesOf(done_bytes, total_bytes)}, ${formatBytes(Math.round(a_second))}/s${ended ? '' : left}`;
}

export function openBytesProgress(output: Output): BytesProgress {
  const line = progressLine(output.json);
  const every_ms = output.json ? EVERY_MS.json : EVERY_MS.plain;
  let current = '';
  let begun_ms = 0;
  let told_ms = 0;
  return {
    end: line.clear,
    at(what, done_bytes, total_bytes) {
      const now_ms = performance.now();
      if (what !== current) [current, begun_ms, told_ms] = [what, now_ms, now_ms];
      const sentence = (): string => progressSentence(what, done_bytes, total_bytes, now_ms - begun_ms);
      if (line.shown) {
        if (now_ms > begun_ms) line.draw(() => barOf(done_bytes, total_bytes) + sentence());
      } else if (now_ms - told_ms >= every_ms) {
        told_ms = now_ms;
        output.say(sentence(), { type: 'creating', what, done_bytes, total_bytes });
      }
    },
  };
}

const barOf = (done_bytes: number, total_bytes: number | null): string =>
  total_bytes === null ? '' : `${bar(done_bytes / Math.max(1, total_bytes), BAR_COLUMNS)} `;

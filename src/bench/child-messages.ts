// What a process that a bench measures says to it.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { BenchError } from './errors.ts';

/** The next message of a process. Throws BenchError `engine-failed` where it ends instead. */
export async function nextMessage(child: ChildProcess, who: string): Promise<unknown> {
  const ended = new AbortController();
  const exit = once(child, 'exit', { signal: ended.signal }).then(([code]) => {
    throw new BenchError('engine-failed', `${who} has ended with ${code}`);
  });
  exit.catch(() => {});
  try {
    const [message] = await Promise.race([once(child, 'message', { signal: ended.signal }), exit]);
    return message;
  } finally {
    ended.abort();
  }
}

// The head of the log for a view: fetched once, again on request, or regularly for a view that follows the log.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { CodedError } from '../../errors.ts';
import type { Live } from '../shell/live.ts';
import { type Head, LogAway, type LogReader } from './log-reader.ts';

/** How often a following view checks: each check downloads a checkpoint of half a kilobyte and the new events. */
const FOLLOW_MS = 5000;

export interface HeadState {
  readonly head: Head | null;
  /** The head is wrong: somebody rewrites the log. */
  readonly untrue: string | null;
  /** It could not be fetched. */
  readonly away: string | null;
  refresh(): void;
}

/** `follow`: fetches it again while the log grows and the page is visible. `wanted`: an event that the head must include. */
export function useHead(reader: LogReader, live: Live, follow: boolean, wanted: number | null): HeadState {
  const [state, setState] = useState<Omit<HeadState, 'refresh'>>({ head: null, untrue: null, away: null });
  const asking = useRef(false);
  const refresh = useCallback((): void => {
    if (asking.current) return;
    asking.current = true;
    reader
      .refresh()
      .then(
        (head) => setState({ head, untrue: null, away: null }),
        (error: unknown) => {
          const message = error instanceof Error ? error.message : String(error);
          const untrue = error instanceof CodedError && !(error instanceof LogAway);
          setState((before) => ({
            ...before,
            untrue: untrue ? message : before.untrue,
            away: untrue ? null : message,
          }));
        },
      )
      .finally(() => {
        asking.current = false;
      });
  }, [reader]);

  const { head } = state;
  const here = live.connection === 'live';
  const missing = head === null || (wanted !== null && head.size <= wanted && live.events > wanted);
  useEffect(() => {
    if (here && missing) refresh();
  }, [refresh, here, missing]);

  const behind = useRef(false);
  behind.current = here && live.events > (head?.size ?? 0);
  useEffect(() => {
    if (!follow) return;
    const look = (): void => {
      if (behind.current && document.visibilityState === 'visible') refresh();
    };
    const timer = setInterval(look, FOLLOW_MS);
    document.addEventListener('visibilitychange', look);
    look();
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [follow, refresh]);
  return { ...state, refresh };
}

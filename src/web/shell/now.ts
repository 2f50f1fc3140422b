// The current time, for components that follow it.
import { useEffect, useState } from 'preact/hooks';

/** performance.now(), updated every so many milliseconds. */
export function useNow(every_ms: number): number {
  const [now_ms, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), every_ms);
    return () => clearInterval(timer);
  }, [every_ms]);
  return now_ms;
}

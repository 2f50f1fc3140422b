// All devices of this browser's person, asked for again and again while somebody looks; what is wanted of them is sent one order at a time.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { DevicesNews, DevicesOrder, OwnDevice, Setting } from './devices-messages.ts';

/** Devices write three times a minute. */
const ASK_EVERY_MS = 5000;

export interface DevicesSeen {
  /** null: not heard yet. */
  readonly devices: readonly OwnDevice[] | null;
  readonly settings: readonly Setting[];
  readonly isNobody: boolean;
  readonly problem: string;
  readonly busy: boolean;
  /** What became of the last order, in words; empty before it. */
  readonly said: string;
  tell(order: DevicesOrder, done: string): void;
}

export function useDevicesWorker(): DevicesSeen {
  const worker = useRef<Worker | null>(null);
  const done = useRef('');
  const [devices, setDevices] = useState<readonly OwnDevice[] | null>(null);
  const [settings, setSettings] = useState<readonly Setting[]>([]);
  const [isNobody, setNobody] = useState(false);
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState('');
  useEffect(() => {
    // In one expression, because bundlers recognise this pattern.
    const started = new Worker(new URL('./devices-worker.ts', import.meta.url), { type: 'module' });
    worker.current = started;
    const ask = (): void => started.postMessage({ kind: 'read' } satisfies DevicesOrder);
    started.onmessage = ({ data }: MessageEvent<DevicesNews>) => {
      setNobody(data.kind === 'nobody');
      if (data.kind === 'devices') {
        setDevices(data.devices);
        setSettings(data.settings);
        setProblem('');
      } else if (data.kind === 'failed' && data.of === 'read') setProblem(data.message);
      else if (data.kind !== 'nobody') {
        setBusy(false);
        setSaid(data.kind === 'wanted' ? done.current : '');
        setProblem(data.kind === 'failed' ? data.message : '');
        if (data.kind === 'wanted') ask();
      }
    };
    started.onerror = (failure) => setProblem(failure.message || 'The Worker that signs could not be started.');
    ask();
    const timer = setInterval(() => document.hidden || ask(), ASK_EVERY_MS);
    return () => {
      clearInterval(timer);
      started.terminate();
    };
  }, []);
  const tell = (order: DevicesOrder, words: string): void => {
    done.current = words;
    setBusy(true);
    setSaid('');
    worker.current?.postMessage(order);
  };
  return { devices, settings, isNobody, problem, busy, said, tell };
}

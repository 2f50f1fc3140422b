// A model in a Worker as a view sees it: what is in hand, what it writes, and what can be asked of it.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { FromModel, ModelInHand, ToModel } from './play-messages.ts';

export interface ModelState {
  /** `asleep`: nothing is fetched yet. */
  readonly phase: 'asleep' | 'loading' | 'ready' | 'writing' | 'failed';
  readonly loading: string;
  readonly model: ModelInHand | null;
  readonly text: string;
  /** Pieces a second of the last text that was written to its end. */
  readonly speed: number | null;
  readonly problem: string;
}

const ASLEEP: ModelState = { phase: 'asleep', loading: '', model: null, text: '', speed: null, problem: '' };

export interface ModelUse {
  readonly state: ModelState;
  /** Fetches the model when that was not done yet, and writes. */
  write(what: Omit<Extract<ToModel, { kind: 'write' }>, 'kind'>): void;
  stop(): void;
}

/** The model of a run. The Worker ends with the component. */
export function useModel(run: string): ModelUse {
  const [state, setState] = useState<ModelState>(ASLEEP);
  const worker = useRef<Worker | null>(null);
  useEffect(
    () => () => {
      worker.current?.terminate();
      worker.current = null;
      setState(ASLEEP);
    },
    [run],
  );
  const tell = (message: ToModel): void => worker.current?.postMessage(message);

  const wake = (): void => {
    // Written in one expression, because bundlers look for this pattern.
    const started = new Worker(new URL('./play-worker.ts', import.meta.url), { type: 'module' });
    worker.current = started;
    started.onmessage = ({ data }: MessageEvent<FromModel>) => setState((before) => after(before, data));
    started.onerror = (event) => {
      started.terminate();
      worker.current = null;
      const problem = event.message || 'what computes could not be started';
      setState((before) => ({ ...before, phase: 'failed', problem }));
    };
    tell({ kind: 'open', url: location.origin, run });
  };

  return {
    state,
    write(what) {
      if (!worker.current) wake();
      setState((before) => ({ ...before, phase: before.model ? 'writing' : 'loading', text: '', problem: '' }));
      tell({ kind: 'write', ...what });
    },
    stop: () => tell({ kind: 'stop' }),
  };
}

function after(before: ModelState, message: FromModel): ModelState {
  switch (message.kind) {
    case 'loading':
      return { ...before, phase: 'loading', loading: message.what };
    case 'ready':
      return { ...before, phase: 'writing', model: message.model };
    case 'piece':
      return { ...before, phase: 'writing', text: before.text + message.text };
    case 'done': {
      const { pieces, seconds, stopped } = message;
      return { ...before, phase: 'ready', speed: stopped || seconds === 0 ? before.speed : pieces / seconds };
    }
    case 'failed':
      return { ...before, phase: 'failed', problem: message.message };
  }
}

// A device that judges what another one has written: one at a time, with the same engine and model, and only while its own answers leave room.
import { orNull } from '../protocol/errors.ts';
import { unpackRequest } from '../protocol/serving-bytes.ts';
import type { FromServingPeer } from '../protocol/serving-from-peer.ts';
import type { ToServingPeer } from '../protocol/serving-messages.ts';
import type { Judged } from '../serving/judge-answer.ts';
import { type JudgeTask, JudgeTaskSchema } from '../serving/judge-task.ts';

type AskedToJudge = Extract<ToServingPeer, { readonly type: 'judge' }>;

/** Why a device gives back what it was asked. */
export interface Failure {
  readonly code: string;
  readonly message: string;
}

interface JudgingOptions {
  send(message: FromServingPeer): void;
  /** As for answers: when the owner's rules let the device compute. */
  rested?(): Promise<void>;
  worked?(): Promise<void>;
}

/** The part of a model that judges. */
interface JudgingModel {
  judge(task: JudgeTask, signal: AbortSignal): Promise<Judged>;
}

export interface Judging {
  begin(asked: AskedToJudge, model: JudgingModel): void;
  /** Ends it within a step of the engine; resolves when it has ended. @param tell what the hub is told; null: it knows */
  stop(tell: Failure | null): Promise<void>;
  stopLease(lease: string): void;
}

const UNREADABLE = 'the device cannot judge it';

export function openJudging({ send, rested, worked }: JudgingOptions): Judging {
  let now: { readonly lease: string; readonly stop: AbortController; readonly ended: Promise<void> } | null = null;

  const failed = (lease: string, { code, message }: Failure): void =>
    send({ type: 'answer-failed', lease, code, message });

  const judge = async (lease: string, model: JudgingModel, task: JudgeTask, signal: AbortSignal): Promise<void> => {
    try {
      await rested?.();
      signal.throwIfAborted();
      const { tally, ...found } = await model.judge(task, signal);
      if (signal.aborted) return;
      send({ type: 'judged', lease, ...found, ...tally });
      await worked?.();
    } catch {
      // What is wrong may be the text, the model or this engine: it says nothing of whoever wrote it.
      if (!signal.aborted) failed(lease, { code: 'bad-input', message: UNREADABLE });
    }
  };

  return {
    begin({ lease, asked }, model) {
      if (now) return failed(lease, { code: 'no-room', message: 'this device judges already' });
      const task = orNull(() => unpackRequest(asked, JudgeTaskSchema));
      if (!task) return failed(lease, { code: 'bad-input', message: UNREADABLE });
      const stop = new AbortController();
      const ended = judge(lease, model, task, stop.signal).finally(() => {
        now = null;
      });
      now = { lease, stop, ended };
    },
    async stop(tell) {
      if (!now) return;
      const { lease, stop, ended } = now;
      if (tell && !stop.signal.aborted) failed(lease, tell);
      stop.abort(new Error('nobody waits for this verdict'));
      await ended;
    },
    stopLease(lease) {
      if (now?.lease === lease) now.stop.abort(new Error('nobody waits for this verdict'));
    },
  };
}

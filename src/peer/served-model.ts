// A loaded engine as a model that a device serves: answers are written by its engine, conversations that go on are read on from where they were.
import { chatOf } from '../serving/chat.ts';
import { embedInput } from '../serving/embed-input.ts';
import { type Engine, QUANTISATIONS } from '../serving/engine.ts';
import { ServingError } from '../serving/errors.ts';
import { judgeAnswer } from '../serving/judge-answer.ts';
import { prefixCache } from '../serving/prefix-cache.ts';
import { type ReadyModel, writeAnswer } from '../serving/write-answer.ts';
import type { ServedModel } from './serving.ts';

/** A served model with what it takes to give its memory back. */
export interface LoadedModel {
  readonly served: ServedModel;
  /** Frees the memory when the answers that are being written have ended; more are not begun. */
  close(): Promise<void>;
}

/**
 * Serves a run's model: no file says how it is talked to, so that its conversations have the form of training data, as where `potluck serve`
 * has the same model. Throws ServingError `unsupported` for weights that the pool has no measured limits for, and so could not judge.
 * @param places answers at the same time; the engine's cache must hold as many tokens as they need together
 */
export function serveEngine(engine: Engine, places: number): LoadedModel {
  const { hash, context_tokens } = engine.model;
  const quantisation = QUANTISATIONS.find((known) => known === engine.model.quantisation);
  if (!quantisation) {
    const fact = `weights of ${engine.model.quantisation}, expected one of ${QUANTISATIONS.join(', ')}`;
    throw new ServingError('unsupported', `the pool cannot judge ${fact}`);
  }
  const ready: ReadyModel = { engine, prefixes: prefixCache(engine), ...chatOf(null, engine.model.tokens) };
  let writing = 0;
  let whenIdle: (() => void) | null = null;
  const ended = (): void => {
    if (--writing === 0) whenIdle?.();
  };
  return {
    served: {
      ...{ hash, quantisation, engine: engine.name, class: engine.class, context_tokens, places },
      cache_tokens: engine.free_tokens,
      ...{ chat: ready.readChat !== undefined, tools: ready.readCalls !== undefined },
      async *answer(request, signal) {
        writing++;
        try {
          yield* writeAnswer(ready, request, signal);
        } finally {
          ended();
        }
      },
      ...(engine.embed && {
        embed: (input, signal) => {
          writing++;
          return embedInput(ready, input, signal).finally(ended);
        },
      }),
      judge({ request, served }, signal) {
        writing++;
        return judgeAnswer(ready, request, served, signal).finally(ended);
      },
    },
    async close() {
      if (writing > 0) {
        await new Promise<void>((resolve) => {
          whenIdle = resolve;
        });
      }
      await ready.prefixes.close();
      await engine.close();
    },
  };
}

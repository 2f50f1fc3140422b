// An AnswerServer over engines of this process or of its children: what one device alone serves.
import type { AnswerServer, OfferedModel } from './answers.ts';
import { embedInput } from './embed-input.ts';
import type { Engine } from './engine.ts';
import { ServingError, unknownModel } from './errors.ts';
import { type Judged, judgeAnswer } from './judge-answer.ts';
import type { JudgeTask } from './judge-task.ts';
import { prefixCache } from './prefix-cache.ts';
import { type ReadyModel, writeAnswer } from './write-answer.ts';

/** A model that is loaded, and what callers may know of it. */
export interface ServedModel extends Pick<ReadyModel, 'readChat' | 'openGrammar' | 'readCalls' | 'chatStops'> {
  readonly engine: Engine;
  readonly name: string;
  readonly licence: string | null;
  readonly created_ms: number;
}

export interface ClosingServer extends AnswerServer {
  /** Ends the answers that are being written with ServingError `interrupted`, and closes the engines. */
  close(): Promise<void>;
}

/** A server over engines, which also judges what others have written with the same models. */
export interface JudgingServer extends ClosingServer {
  /** Repeats what somebody else has served for a request of this server's model. Throws what `judgeAnswer` throws. */
  judge(task: JudgeTask, signal: AbortSignal): Promise<Judged>;
}

export function openAnswerServer(served: readonly ServedModel[]): JudgingServer {
  const ready = new Map(served.map((model) => [model.name, { ...model, prefixes: prefixCache(model.engine) }]));
  const offered = served.map(offerOf);
  // A controller for each answer: what AbortSignal.any makes of one that lives as long as the server is never given back.
  const writing = new Set<AbortController>();
  /** Events that an engine is computing. */
  const computing = new Set<Promise<unknown>>();
  const named = (name: string) => {
    const found = ready.get(name);
    if (found) return found;
    throw unknownModel(name);
  };
  return {
    models: () => offered,
    async *answer(request, signal) {
      const model = named(request.model);
      const own = new AbortController();
      const events = writeAnswer(model, request, AbortSignal.any([signal, own.signal]));
      writing.add(own);
      try {
        for (;;) {
          const next = events.next();
          computing.add(next);
          const found = await next.finally(() => computing.delete(next));
          if (found.done) return;
          yield found.value;
        }
      } finally {
        writing.delete(own);
        await events.return();
      }
    },
    async judge({ request, served }, signal) {
      const own = new AbortController();
      const judging = judgeAnswer(named(request.model), request, served, AbortSignal.any([signal, own.signal]));
      writing.add(own);
      computing.add(judging);
      return judging.finally(() => {
        writing.delete(own);
        computing.delete(judging);
      });
    },
    async embed({ model, inputs }, signal) {
      const ready = named(model);
      const vectors: Float32Array[] = [];
      let count = 0;
      for (const input of inputs) {
        const { vector, tokens } = await embedInput(ready, input, signal);
        vectors.push(vector);
        count += tokens;
      }
      return { vectors, tokens: count };
    },
    async close() {
      const reason = new ServingError('interrupted', 'this server is going down');
      for (const answer of writing) answer.abort(reason);
      // Engines are closed under nobody who computes: each answer notices within a token.
      await Promise.allSettled(computing);
      await Promise.all([...ready.values()].map(({ prefixes }) => prefixes.close()));
      await Promise.all(served.map(({ engine }) => engine.close()));
    },
  };
}

function offerOf({ engine, name, licence, created_ms, readChat, readCalls }: ServedModel): OfferedModel {
  const { hash, quantisation, context_tokens } = engine.model;
  return {
    ...{ name, hash, quantisation, engine: engine.name, context_tokens, created_ms, licence },
    ...{ chat: readChat !== undefined, tools: readCalls !== undefined, embeddings: engine.embed !== undefined },
  };
}

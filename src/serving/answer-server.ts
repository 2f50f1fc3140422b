// An AnswerServer over engines of this process or of its children: what one device alone serves.
import type { AnswerServer, OfferedModel } from './answers.ts';
import type { Engine } from './engine.ts';
import { ServingError } from './errors.ts';
import { prefixCache } from './prefix-cache.ts';
import { type ReadyModel, writeAnswer } from './write-answer.ts';

/** A model that is loaded, and what callers may know of it. */
export interface ServedModel extends Pick<ReadyModel, 'readChat' | 'openGrammar'> {
  readonly engine: Engine;
  readonly name: string;
  readonly licence: string | null;
  readonly created_ms: number;
  /** Whether its template has a place for tools. */
  readonly tools: boolean;
}

export interface ClosingServer extends AnswerServer {
  /** Closes the engines. */
  close(): Promise<void>;
}

export function openAnswerServer(served: readonly ServedModel[]): ClosingServer {
  const ready = new Map(served.map((model) => [model.name, { ...model, prefixes: prefixCache(model.engine) }]));
  const offered = served.map(offerOf);
  const named = (name: string) => {
    const found = ready.get(name);
    if (found) return found;
    throw new ServingError('unknown-model', `no model ${name} is served here`);
  };
  return {
    models: () => offered,
    answer: (request, signal) => writeAnswer(named(request.model), request, signal),
    async embed({ model, inputs }, signal) {
      const { engine } = named(model);
      if (!engine.embed) throw new ServingError('unsupported', `${model} makes no embeddings`);
      const { tokens, context_tokens } = engine.model;
      const vectors: Float32Array[] = [];
      let count = 0;
      for (const input of inputs) {
        const ids = typeof input === 'string' ? tokens.encode(input, false) : input;
        if (ids.length === 0 || ids.length > context_tokens) {
          const fact = `an input of ${ids.length} tokens, expected 1 to ${context_tokens}`;
          throw new ServingError('too-large', `embedding: ${fact}`, { param: 'input' });
        }
        vectors.push(await engine.embed(ids, signal));
        count += ids.length;
      }
      return { vectors, tokens: count };
    },
    async close() {
      await Promise.all([...ready.values()].map(({ prefixes }) => prefixes.close()));
      await Promise.all(served.map(({ engine }) => engine.close()));
    },
  };
}

function offerOf({ engine, name, licence, created_ms, readChat, tools }: ServedModel): OfferedModel {
  const { hash, quantisation, context_tokens } = engine.model;
  return {
    ...{ name, hash, quantisation, engine: engine.name, context_tokens, created_ms, licence },
    ...{ chat: readChat !== undefined, tools, embeddings: engine.embed !== undefined },
  };
}

// Where an answer stands: what may come next and what ends it. Whoever writes an answer and whoever judges it go through the same states.
import type { DrawPlace } from '../model/sampling.ts';
import { answerText } from './answer-text.ts';
import type { EngineModel } from './engine.ts';
import { ServingError } from './errors.ts';
import { allows, type Grammar } from './grammar/grammar.ts';

export interface AnswerProgress {
  /** Tokens that the answer has. */
  readonly length: number;
  /** Why nothing more is drawn; null: the next token is. An end token ends an answer, too, without becoming part of it. */
  readonly over: 'stop' | 'length' | null;
  /** Whether the form that holds the answer has come to its end, and no stop string cut it. */
  readonly whole: boolean;
  /** The place of the next draw. */
  place(): DrawPlace;
  /** Adds a token that is no end token; returns the text that is final with it. Throws ServingError `bad-input` or `bad-grammar`. */
  push(id: number): string;
  /** The text that was held back. */
  end(): string;
}

/** The most tokens that an answer to a prompt may have. Throws ServingError `too-large` for prompts that leave no room for one. */
export function answerRoom(model: EngineModel, prompt_tokens: number, max_tokens: number): number {
  const room = model.context_tokens - prompt_tokens;
  if (room >= Math.min(1, max_tokens)) return Math.min(room, max_tokens);
  const fact = `a prompt of ${prompt_tokens} tokens, the model reads ${model.context_tokens} with its answer`;
  throw new ServingError('too-large', `answer: ${fact}`, { prompt_tokens, context_tokens: model.context_tokens });
}

export function answerProgress(
  model: EngineModel,
  request: { readonly max_tokens: number; readonly stop: readonly string[] },
  prompt_tokens: number,
  grammar: Grammar | null,
): AnswerProgress {
  const room = answerRoom(model, prompt_tokens, request.max_tokens);
  const text = answerText(model.tokens, request.stop);
  const usable = usableIds(model);
  const counts = new Map<number, number>();
  let length = 0;
  return {
    get length() {
      return length;
    },
    get over() {
      if (text.stopped || grammar?.finished) return 'stop';
      return length >= room ? 'length' : null;
    },
    get whole() {
      return grammar?.finished === true && !text.stopped;
    },
    place() {
      const mask = grammar ? grammar.mask().map((word, index) => word & usable[index]) : usable;
      return { position: prompt_tokens + length, counts, mask };
    },
    push(id) {
      if (!mayBeWritten(usable, model, id)) {
        throw new ServingError('bad-input', `answer: ${id} is no token that this model writes`, { id });
      }
      grammar?.accept(id);
      length++;
      counts.set(id, (counts.get(id) ?? 0) + 1);
      return text.push(id);
    },
    end: () => text.end(),
  };
}

const mayBeWritten = (usable: Uint32Array, { tokens }: EngineModel, id: number): boolean =>
  Number.isInteger(id) && id >= 0 && id < tokens.vocab_size && allows(usable, id) && !tokens.end_ids.includes(id);

/** All ids but those that are never text, as a mask. */
function usableIds({ tokens }: EngineModel): Uint32Array {
  const mask = new Uint32Array(Math.ceil(tokens.vocab_size / 32));
  for (let id = 0; id < tokens.vocab_size; id++) mask[id >>> 5] |= 1 << (id & 31);
  for (const id of tokens.unused_ids) mask[id >>> 5] &= ~(1 << (id & 31));
  return mask;
}

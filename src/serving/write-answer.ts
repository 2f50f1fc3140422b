// An engine's answer to a request, as a stream that another device can go on with in mid-sentence: every draw follows from seed and position.
import { sampleToken } from '../model/sampling.ts';
import { type AnswerProgress, answerProgress, answerRoom } from './answer-progress.ts';
import { answerText } from './answer-text.ts';
import type { AnswerEvent, AnswerRequest } from './answers.ts';
import type { CallReader } from './call-reader.ts';
import type { Engine } from './engine.ts';
import { ServingError } from './errors.ts';
import type { Grammar } from './grammar/grammar.ts';
import { tokenLogprobs } from './logprobs.ts';
import type { KnownSequence, PrefixCache } from './prefix-cache.ts';
import { scoredRows } from './scored-rows.ts';

type Chat = Extract<AnswerRequest['prompt'], { kind: 'chat' }>;

/** A model that is ready to answer. */
export interface ReadyModel {
  readonly engine: Engine;
  readonly prefixes: PrefixCache;
  /** The ids of a conversation, up to where the answer begins. Missing: the model has no chat template. */
  readonly readChat?: (chat: Chat) => number[];
  /** A new answer's grammar, by its format and its tools; null: it is free. Missing: this device holds answers to no form. */
  readonly openGrammar?: (request: Pick<AnswerRequest, 'prompt' | 'format'>) => Grammar | null;
  /** Reads the calls of a conversation with tools. Missing: the model calls none. */
  readonly readCalls?: (chat: Chat) => CallReader;
  /** What ends an answer in a conversation beside the caller's own stop strings. */
  readonly chatStops?: readonly string[];
}

/**
 * Answers a request: `begun`, tokens, `ended`. With `written`, what comes is what would have come behind those tokens; echoed tokens are
 * not repeated then. Ends within a token when the signal fires, with its reason. Throws ServingError.
 */
export async function* writeAnswer(
  ready: ReadyModel,
  request: AnswerRequest,
  signal: AbortSignal,
): AsyncGenerator<AnswerEvent, void> {
  const { engine, prefixes } = ready;
  const { model } = engine;
  const prompt = promptIds(ready, request);
  refuseUnknownBiases(request, model.tokens.vocab_size);
  const grammar = grammarOf(ready, request);
  const progress = answerProgress(model, { ...request, stop: stopsOf(ready, request) }, prompt.length, grammar);
  const reader = callReaderOf(ready, request);
  const said: string[] = [];
  for (const text of writtenTexts(progress, request)) said.push(reader ? reader.push(text) : text);
  signal.throwIfAborted();
  const scores = request.echo && request.top_logprobs !== null && request.written.length === 0;
  const capacity = prompt.length + answerRoom(model, prompt.length, request.max_tokens);
  const all = [...prompt, ...request.written];
  const known = await prefixes.take(all, capacity, scores ? 0 : all.length);
  let broken = false;
  try {
    yield { kind: 'begun', prompt_tokens: prompt.length };
    if (request.echo && request.written.length === 0) yield* echoed(engine, known, request, prompt, signal);
    const unread = all.slice(known.tokens.length);
    let logits: Float32Array | null = null;
    if (progress.over === null) logits = await append(known, unread, signal);
    yield* drawTokens(engine, known, request, { grammar, progress, reader, said, first: logits }, signal);
  } catch (error) {
    broken = !signal.aborted;
    // Who ends an answer may close its engine at once: what the engine then says is not why the answer ended.
    throw signal.aborted ? signal.reason : error;
  } finally {
    await prefixes.giveBack(known, !broken && known.sequence.length === known.tokens.length);
  }
}

/** The answer from where it stands to its end. */
async function* drawTokens(
  { model: { tokens } }: Engine,
  known: KnownSequence,
  { sampling, top_logprobs }: AnswerRequest,
  { grammar, progress, reader, said, first }: Standing,
  signal: AbortSignal,
): AsyncGenerator<AnswerEvent, void> {
  let logits = first;
  let end_id: number | null = null;
  while (progress.over === null && logits) {
    const place = progress.place();
    const id = sampleToken(logits, sampling, place);
    if (tokens.end_ids.includes(id)) {
      end_id = id;
      break;
    }
    const piece = progress.push(id);
    const text = reader ? reader.push(piece) : piece;
    said.push(text);
    const named = top_logprobs === null ? { logprob: null, top: [] } : tokenLogprobs(logits, id, top_logprobs, tokens);
    yield { kind: 'token', position: place.position, id, text, echoed: false, ...named };
    signal.throwIfAborted();
    if (progress.over === null) logits = await append(known, [id], signal);
  }
  const last = progress.end();
  const rest = reader ? reader.push(last) : last;
  const { text, calls } = reader?.end() ?? { text: '', calls: [] };
  const whole = end_id !== null || progress.whole;
  if (whole && calls.length === 0) grammar?.check?.(said.join('') + rest + text);
  // Calls come last, so that who goes on in the middle of an answer tells all of them.
  for (const call of calls) yield { kind: 'tool_call', ...call };
  const reason = end_id !== null ? 'stop' : progress.over!;
  yield {
    ...{ kind: 'ended', text: rest + text, end_id, written_tokens: progress.length },
    reason: calls.length > 0 && reason === 'stop' ? 'tool_calls' : reason,
  };
}

/** Where an answer stands; `first`: the logits of its next token, null where it is over. */
interface Standing {
  readonly grammar: Grammar | null;
  readonly progress: AnswerProgress;
  readonly reader: CallReader | null;
  /** The text so far. */
  readonly said: string[];
  readonly first: Float32Array | null;
}

/** Appends to a sequence and to what is known of it. */
export async function append(known: KnownSequence, ids: number[], signal: AbortSignal): Promise<Float32Array> {
  const logits = await known.sequence.append(ids, signal);
  known.tokens.push(...ids);
  return logits;
}

/** The prompt's tokens as events. With logprobs all but the last one are read for it. */
async function* echoed(
  { model: { tokens } }: Engine,
  known: KnownSequence,
  { top_logprobs }: AnswerRequest,
  prompt: readonly number[],
  signal: AbortSignal,
): AsyncGenerator<AnswerEvent, void> {
  const text = answerText(tokens, []);
  const event = (position: number, named: ReturnType<typeof tokenLogprobs> | null): AnswerEvent => {
    const id = prompt[position];
    const piece = text.push(id) + (position === prompt.length - 1 ? text.end() : '');
    return { kind: 'token', position, id, text: piece, echoed: true, ...(named ?? { logprob: null, top: [] }) };
  };
  if (top_logprobs === null) {
    for (const position of prompt.keys()) yield event(position, null);
    return;
  }
  yield event(0, null);
  let position = 1;
  for await (const logits of scoredRows(known, prompt.slice(0, -1), tokens.vocab_size, signal)) {
    yield event(position, tokenLogprobs(logits, prompt[position], top_logprobs, tokens));
    position++;
  }
}

/** Goes through the tokens that another device has written; their texts. Throws ServingError for tokens that no device could have written. */
export function* writtenTexts(progress: AnswerProgress, { written }: AnswerRequest): Generator<string> {
  for (const id of written) {
    if (progress.over !== null) {
      const fact = `${written.length} tokens are written, but the answer was over after ${progress.length}`;
      throw new ServingError('bad-input', `answer: ${fact} (${progress.over})`);
    }
    yield progress.push(id);
  }
}

function callReaderOf({ readCalls }: ReadyModel, request: AnswerRequest): CallReader | null {
  const { prompt } = request;
  if (prompt.kind !== 'chat' || prompt.tools.length === 0 || prompt.tool_choice === 'none') return null;
  if (readCalls) return readCalls(prompt);
  throw new ServingError('unsupported', 'answer: this model calls no tools; ask without tools');
}

/** The grammar of a new answer; null: its form is free. Throws ServingError `unsupported` or `bad-grammar`. */
export function grammarOf(
  { openGrammar }: ReadyModel,
  request: Pick<AnswerRequest, 'prompt' | 'format'>,
): Grammar | null {
  if (openGrammar) return openGrammar(request);
  const { kind } = request.format;
  if (kind === 'text') return null;
  throw new ServingError('unsupported', `answer: this model's answers cannot be held to the form ${kind}`);
}

/** What ends an answer's text: what the caller says, and in a conversation what its form sets turns apart with. */
export const stopsOf = (
  { chatStops = [] }: Pick<ReadyModel, 'chatStops'>,
  { prompt, stop }: Pick<AnswerRequest, 'prompt' | 'stop'>,
): readonly string[] => (prompt.kind === 'chat' ? [...stop, ...chatStops] : stop);

/** A bias on a token that there is not would be ignored. Throws ServingError `bad-input`. */
function refuseUnknownBiases({ sampling }: Pick<AnswerRequest, 'sampling'>, vocab_size: number): void {
  const wrong = sampling.logit_bias.find(([id]) => id >= vocab_size);
  if (wrong === undefined) return;
  const fact = `the model has no token ${wrong[0]}: expected one of 0..${vocab_size - 1}`;
  throw new ServingError('bad-input', `logit_bias: ${fact}`, { param: 'logit_bias' });
}

/** The ids of a prompt. Texts begin with the model's beginning-of-text token, if it has one; ids are taken as they are. */
export function promptIds({ engine, readChat }: ReadyModel, { prompt }: Pick<AnswerRequest, 'prompt'>): number[] {
  const { tokens } = engine.model;
  if (prompt.kind === 'chat') {
    if (readChat) return readChat(prompt);
    throw new ServingError('unsupported', 'answer: this model has no chat template; ask for a completion of a text');
  }
  const ids = prompt.kind === 'ids' ? [...prompt.ids] : tokens.encode(prompt.text, false);
  if (prompt.kind === 'text' && tokens.bos_id !== null) ids.unshift(tokens.bos_id);
  const wrong = ids.find((id) => id >= tokens.vocab_size);
  if (wrong !== undefined) {
    throw new ServingError('bad-input', `answer: the prompt's token ${wrong} is not in 0..${tokens.vocab_size - 1}`, {
      param: 'prompt',
    });
  }
  if (ids.length > 0) return ids;
  throw new ServingError('bad-input', 'answer: the prompt has no tokens, and the model has no beginning-of-text token');
}

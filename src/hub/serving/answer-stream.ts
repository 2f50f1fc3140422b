// One answer as its caller gets it, put together from what one device after the other writes. Nobody who writes is trusted: what does not
// follow from what came before is refused, and the device with it.

import type { TokenRow } from '../../protocol/serving-bytes.ts';
import { SERVE_LIMITS } from '../../protocol/serving-messages.ts';
import type { AnswerEvent, AnswerRequest, TokenLogprob } from '../../serving/answers.ts';
import type { ServingError } from '../../serving/errors.ts';
import { mayCall, mostTokens } from './request.ts';

export const STREAM_LIMITS = {
  waiting_events: 256, // that the caller has not read: beyond it the device is released, and the answer goes on later
  read_again_events: 64, // so few are left when it goes on
  around_tokens: 4096, // that a template puts around a prompt: what a device says beyond that its caller would pay for
} as const;

type End = Omit<Extract<AnswerEvent, { readonly kind: 'ended' }>, 'kind'>;

/** How far one device has got. */
export interface Cursor {
  /** Of the device, prompt included. */
  readonly context_tokens: number;
  /** How many tokens it has sent, those of the prompt included. */
  next: number;
  begun: boolean;
  /** It sends the prompt's tokens first; how many it has sent. */
  readonly echoes: boolean;
  echoed: number;
  /** How many tokens of the answer it has sent, and how many calls of tools, which come after them. */
  written: number;
  calls: number;
}

export interface AnswerStream {
  readonly request: AnswerRequest;
  /** Tokens of the answer so far, those that the caller brought included. */
  readonly written: readonly number[];
  /** How many more there may be. */
  readonly left_tokens: number;
  readonly prompt_tokens: number | null;
  /** Whether the caller has got, or will get, anything of it. */
  readonly begun: boolean;
  readonly over: boolean;
  /** So much waits for the caller that no device should write on. */
  readonly full: boolean;
  /** What another device is asked: the same, from here on. */
  rest(): AnswerRequest;
  /** For a device that begins to write `rest()`. */
  cursor(context_tokens: number): Cursor;
  /** Whether a device that begins has counted the prompt otherwise than the one before it: which of them is wrong, nobody here knows. */
  countsOtherwise(cursor: Cursor, prompt_tokens: number): boolean;
  /** Each takes what a device says; returns what is wrong with it, null: nothing. Only one device that writes may be heard. */
  heardBegun(cursor: Cursor, prompt_tokens: number): string | null;
  heardTokens(cursor: Cursor, from: number, rows: readonly TokenRow[]): string | null;
  heardCall(cursor: Cursor, call: { readonly name: string; readonly arguments: string }): string | null;
  heardEnd(cursor: Cursor, end: End): string | null;
  fail(error: ServingError): void;
  /** The next event; null: it is over. Throws what it failed with, after all that came before. */
  next(signal: AbortSignal): Promise<AnswerEvent | null>;
}

/** @param onRead called when the caller has read enough for a device to write on */
export function openAnswerStream(request: AnswerRequest, onRead: () => void): AnswerStream {
  return new JoinedStream(request, onRead);
}

class JoinedStream implements AnswerStream {
  readonly request: AnswerRequest;
  readonly written: number[];
  prompt_tokens: number | null = null;
  over = false;
  full = false;
  /** What the caller has got of the prompt's tokens, and of calls of tools. */
  #echoed = 0;
  #calls = 0;
  #failure: ServingError | null = null;
  readonly #onRead: () => void;
  readonly #queue: AnswerEvent[] = [];
  #wake: () => void = () => {};

  constructor(request: AnswerRequest, onRead: () => void) {
    this.request = request;
    this.written = [...request.written];
    this.#onRead = onRead;
  }

  get left_tokens(): number {
    return Math.max(0, this.request.max_tokens - this.written.length);
  }

  get begun(): boolean {
    return this.prompt_tokens !== null;
  }

  rest(): AnswerRequest {
    return { ...this.request, written: [...this.written], echo: !this.#echoIsOver() };
  }

  cursor(context_tokens: number): Cursor {
    const nothing = { next: 0, begun: false, echoed: 0, written: 0, calls: 0 };
    return { context_tokens, echoes: !this.#echoIsOver(), ...nothing };
  }

  countsOtherwise({ begun }: Cursor, tokens: number): boolean {
    return !begun && this.prompt_tokens !== null && this.prompt_tokens !== tokens;
  }

  heardBegun(cursor: Cursor, tokens: number): string | null {
    const { prompt_tokens } = this;
    if (cursor.begun) return 'it begins twice';
    const most = mostTokens(this.request.prompt, STREAM_LIMITS.around_tokens);
    if (tokens > most) return `a prompt of ${tokens} tokens, of ${most} at most`;
    const { context_tokens } = cursor;
    if (tokens + this.written.length > context_tokens) {
      return `a prompt of ${tokens} tokens in a context of ${context_tokens}`;
    }
    cursor.begun = true;
    if (prompt_tokens !== null) return null;
    this.prompt_tokens = tokens;
    this.#put({ kind: 'begun', prompt_tokens: tokens });
    return null;
  }

  heardTokens(cursor: Cursor, from: number, rows: readonly TokenRow[]): string | null {
    if (!cursor.begun) return 'tokens before it has begun';
    if (cursor.calls > 0) return 'tokens after a call of a tool';
    if (from !== cursor.next) return `tokens from ${from}, expected ${cursor.next}`;
    for (const row of rows) {
      const wrong = row[2] ? this.#takeEcho(cursor, row) : this.#take(cursor, row);
      if (wrong) return wrong;
      cursor.next++;
    }
    return null;
  }

  heardCall(cursor: Cursor, call: { readonly name: string; readonly arguments: string }): string | null {
    if (!cursor.begun) return 'a call before it has begun';
    if (!mayCall(this.request.prompt)) return 'a call of a tool, where there are none to call';
    if (++cursor.calls > SERVE_LIMITS.calls) return `more than ${SERVE_LIMITS.calls} calls`;
    if (cursor.calls <= this.#calls) return null; // another device has sent it
    this.#calls++;
    this.#put({ kind: 'tool_call', name: call.name, arguments: call.arguments });
    return null;
  }

  heardEnd(cursor: Cursor, { text, reason, end_id, written_tokens }: End): string | null {
    const { length } = this.written;
    const { max_tokens } = this.request;
    if (!cursor.begun) return 'an end before it has begun';
    if (!this.#echoIsOver()) return "an end before the prompt's last token";
    if (written_tokens !== length) return `an end after ${written_tokens} tokens, ${length} have come`;
    const isFull = length >= max_tokens || this.prompt_tokens! + length >= cursor.context_tokens;
    if (reason === 'length' && !isFull) return `an end by length after ${length} of ${max_tokens} tokens`;
    if (reason === 'tool_calls' && cursor.calls === 0) return 'an end by calls without one';
    this.over = true;
    this.#put({ kind: 'ended', text, reason, end_id, written_tokens });
    return null;
  }

  fail(error: ServingError): void {
    if (this.over) return;
    this.over = true;
    this.#failure = error;
    this.#wake();
  }

  async next(signal: AbortSignal): Promise<AnswerEvent | null> {
    for (;;) {
      signal.throwIfAborted();
      const event = this.#queue.shift();
      if (event) {
        this.#wasRead();
        return event;
      }
      if (this.#failure) throw this.#failure;
      if (this.over) return null;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.#wake = done;
        signal.addEventListener('abort', done, { once: true });
      });
    }
  }

  #wasRead(): void {
    if (!this.full || this.#queue.length > STREAM_LIMITS.read_again_events) return;
    this.full = false;
    if (!this.over) this.#onRead();
  }

  #put(event: AnswerEvent): void {
    this.#queue.push(event);
    if (this.#queue.length >= STREAM_LIMITS.waiting_events) this.full = true;
    this.#wake();
  }

  #echoIsOver(): boolean {
    return !this.request.echo || (this.prompt_tokens !== null && this.#echoed >= this.prompt_tokens);
  }

  #takeEcho(cursor: Cursor, row: TokenRow): string | null {
    if (!cursor.echoes || cursor.written > 0) return "a prompt's token out of its place";
    if (cursor.echoed >= this.prompt_tokens!) return `more than the prompt's ${this.prompt_tokens} tokens`;
    const position = cursor.echoed++;
    const wrong = this.#wrongLogprobs(row, position);
    if (wrong) return wrong;
    if (position < this.#echoed) return null; // another device has sent it
    this.#echoed++;
    this.#put(tokenEvent(row, position));
    return null;
  }

  #take(cursor: Cursor, row: TokenRow): string | null {
    const { written } = this;
    const { max_tokens } = this.request;
    if (cursor.echoes && cursor.echoed < this.prompt_tokens!) return "a token before the prompt's last one";
    if (written.length >= max_tokens) return `more than ${max_tokens} tokens`;
    const position = this.prompt_tokens! + written.length;
    const wrong = this.#wrongLogprobs(row, position);
    if (wrong) return wrong;
    cursor.written++;
    written.push(row[0]);
    this.#put(tokenEvent(row, position));
    return null;
  }

  #wrongLogprobs([id, , , logprob, top]: TokenRow, position: number): string | null {
    const { top_logprobs } = this.request;
    if (top_logprobs === null) return logprob === null && top.length === 0 ? null : 'logprobs that nobody asked for';
    if (logprob === null) return position === 0 ? null : 'a token without its logprob';
    if (logprob[0] !== id) return `the logprob of token ${logprob[0]} beside token ${id}`;
    return top.length <= top_logprobs ? null : `${top.length} likeliest tokens where ${top_logprobs} were asked for`;
  }
}

const tokenEvent = ([id, text, echoed, logprob, top]: TokenRow, position: number): AnswerEvent => ({
  ...{ kind: 'token', position, id, text, echoed, logprob: logprobOf(logprob) },
  top: top.map((one) => logprobOf(one)!),
});

const logprobOf = (row: TokenRow[3]): TokenLogprob | null =>
  row === null ? null : { id: row[0], bytes: row[1], logprob: row[2] };

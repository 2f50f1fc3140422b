// How a device sends an answer as it writes it: the first token at once, later ones together, and nothing that no message carries.
import type { Clock, Timer } from '../protocol/clock.ts';
import { packTokens, type TokenRow, tokensOfMessage } from '../protocol/serving-bytes.ts';
import type { FromServingPeer } from '../protocol/serving-from-peer.ts';
import { SERVE_LIMITS } from '../protocol/serving-messages.ts';
import type { AnswerEvent, AnswerRequest, TokenLogprob } from '../serving/answers.ts';
import { ServingError } from '../serving/errors.ts';

/** Throws ServingError `too-large` for what no message carries: the hub would take it for a device's fault. */
export function mustFit(event: AnswerEvent, calls: number): void {
  const { call_name, call_arguments, calls: most_calls, token_text } = SERVE_LIMITS;
  if (calls > most_calls) throw new ServingError('too-large', `an answer calls tools more than ${most_calls} times`);
  if (event.kind === 'token' || event.kind === 'ended') {
    if (event.text.length <= token_text) return;
    const fact = `${event.text.length} characters were held back, the pool carries ${token_text}`;
    throw new ServingError('too-large', `of an answer ${fact}`);
  }
  if (event.kind !== 'tool_call') return;
  if (event.name.length <= call_name && event.arguments.length <= call_arguments) return;
  const fact = `${event.arguments.length} characters of arguments, the pool carries ${call_arguments}`;
  throw new ServingError('too-large', `a call of a tool has ${fact}`);
}

export interface Sender {
  put(event: AnswerEvent): void;
  flush(): void;
  close(): void;
}

/** Sends the events of one answer: the first token at once, later ones together with those that come soon after them. */
export function openSender(
  lease: string,
  request: AnswerRequest,
  { clock, flush_ms }: { readonly clock: Clock; flush_ms(): number },
  send: (message: FromServingPeer) => void,
): Sender {
  const most = tokensOfMessage(request.top_logprobs ?? 0);
  let rows: TokenRow[] = [];
  let sent = 0;
  let flushed_ms = Number.NEGATIVE_INFINITY;
  let timer: Timer;
  const flush = (): void => {
    clock.clearTimeout(timer);
    timer = undefined;
    if (rows.length === 0) return;
    send({ type: 'answer-tokens', lease, from: sent, packed: packTokens(rows) });
    sent += rows.length;
    rows = [];
    flushed_ms = clock.elapsed_ms();
  };
  return {
    put(event) {
      if (event.kind === 'begun') send({ type: 'answer-begun', lease, prompt_tokens: event.prompt_tokens });
      if (event.kind === 'tool_call' || event.kind === 'ended') flush();
      if (event.kind === 'tool_call')
        send({ type: 'answer-call', lease, name: event.name, arguments: event.arguments });
      if (event.kind === 'ended') {
        const { kind: _, ...end } = event;
        send({ type: 'answer-ended', lease, ...end });
      }
      if (event.kind !== 'token') return;
      const { id, text, echoed, logprob, top } = event;
      rows.push([id, text, echoed, logprob && rowOf(logprob), top.map(rowOf)]);
      const wait_ms = flushed_ms + flush_ms() - clock.elapsed_ms();
      if (rows.length >= most || wait_ms <= 0) flush();
      else timer ??= clock.setTimeout(flush, wait_ms);
    },
    flush,
    close: () => clock.clearTimeout(timer),
  };
}

const rowOf = ({ id, bytes, logprob }: TokenLogprob): [number, Uint8Array, number] => [id, bytes, logprob];

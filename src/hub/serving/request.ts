// What the pool has to know of a request without the model's tokenizer: how long it is, and with which prompts it begins alike.
import { ProtocolError } from '../../protocol/errors.ts';
import { sha256Hex, utf8 } from '../../protocol/hash.ts';
import { packRequest } from '../../protocol/serving-bytes.ts';
import type { Offer } from '../../protocol/serving-from-peer.ts';
import type { AnswerRequest, OfferedModel } from '../../serving/answers.ts';
import { ServingError } from '../../serving/errors.ts';

/** Prompts that begin alike so far are best read where the beginning was read before. */
const PREFIX = 256;

type Prompt = AnswerRequest['prompt'];

/** The prompt's length in its own units: tokens where it comes as ids, characters otherwise. */
export function lengthOf(prompt: Prompt): number {
  if (prompt.kind === 'ids') return prompt.ids.length;
  if (prompt.kind === 'text') return prompt.text.length;
  return wordsOf(prompt).reduce((sum, part) => sum + part.length, 0);
}

/** Whether a device takes part in this: every one goes on with texts, and is held to formats; conversations are offered, and tools in them. */
export function takesPart({ chat, tools }: Pick<Offer, 'chat' | 'tools'>, prompt: Prompt): boolean {
  if (prompt.kind !== 'chat') return true;
  const talks_of_tools =
    mayCall(prompt) || prompt.messages.some(({ role, tool_calls }) => role === 'tool' || tool_calls?.length);
  return chat && (tools || !talks_of_tools);
}

/**
 * Throws ServingError `bad-input` for `echo` beside `written`, `unsupported` for a conversation where no device of the model takes part in it, `too-large` for what no device's socket
 * takes.
 */
export function checkRequest(request: AnswerRequest, { name, chat, tools }: OfferedModel): void {
  if (request.echo && request.written.length > 0) {
    const fact = 'an answer that goes on behind tokens that were written repeats no prompt: expected one of the two';
    throw new ServingError('bad-input', `echo: ${fact}`, { param: 'echo' });
  }
  if (!takesPart({ chat, tools }, request.prompt)) {
    const what = chat ? 'call tools' : 'take part in conversations';
    throw new ServingError('unsupported', `the devices that offer ${name} now do not ${what}`);
  }
  try {
    packRequest(request);
  } catch (error) {
    if (error instanceof ProtocolError) throw new ServingError('too-large', error.message);
    throw error;
  }
}

/** What a template may put around a conversation, and around each message of it. */
const TEMPLATE_TOKENS = { conversation: 1024, message: 32 } as const;

/** More tokens than any tokenizer makes of a prompt that holds nothing strange: a byte is one at most. */
export function mostTokensOf(prompt: Prompt): number {
  if (prompt.kind === 'ids') return prompt.ids.length + 1;
  if (prompt.kind === 'text') return utf8(prompt.text).length + 1;
  const { conversation, message } = TEMPLATE_TOKENS;
  return utf8(wordsOf(prompt).join('')).length + conversation + message * prompt.messages.length;
}

/** Whether an answer may call tools. */
export const mayCall = (prompt: Prompt): boolean =>
  prompt.kind === 'chat' && prompt.tools.length > 0 && prompt.tool_choice !== 'none';

/** A hash of the prompt's first 256 tokens or characters: kept in memory alone, and nothing can be read from it. */
export function prefixOf(prompt: Prompt): string {
  if (prompt.kind === 'ids') return sha256Hex(utf8(`ids ${prompt.ids.slice(0, PREFIX).join(' ')}`));
  const text = prompt.kind === 'text' ? prompt.text : wordsOf(prompt).join('\n');
  return sha256Hex(utf8(`${prompt.kind} ${text.slice(0, PREFIX)}`));
}

/** A conversation's words with what its template puts around each, some eight characters. */
function wordsOf(prompt: Extract<Prompt, { kind: 'chat' }>): string[] {
  const tools = prompt.tools.length > 0 ? [JSON.stringify(prompt.tools)] : [];
  const calls = (message: (typeof prompt.messages)[number]): string =>
    message.tool_calls ? JSON.stringify(message.tool_calls) : '';
  return [...tools, ...prompt.messages.map((one) => `${one.role}      ${one.content}${calls(one)}`)];
}

/** The most tokens that a prompt has, whoever counts them. @param around_tokens what may be put before and after what the caller has sent */
export const mostTokens = (prompt: Prompt, around_tokens: number): number =>
  around_tokens + lengthOf(prompt) * (prompt.kind === 'ids' ? 1 : MOST_PER_CHARACTER);

/** How many tokens prompts have for a character, as devices have told; at first one, as a model of bytes has it. */
export interface TokenRate {
  estimate(prompt: Prompt): number;
  learn(prompt: Prompt, tokens: number): void;
}

/** The rates of the models that were asked last. */
export function openTokenRates(most: number): (key: string) => TokenRate {
  const rates = new Map<string, TokenRate>();
  return (key) => {
    const rate = rates.get(key) ?? openTokenRate();
    rates.set(key, rate);
    if (rates.size > most) rates.delete(rates.keys().next().value!);
    return rate;
  };
}

/** Above any tokenizer: a character of UTF-8 has four bytes, each a token at most. */
const MOST_PER_CHARACTER = 4;
const NEW_PART = 0.1;

function openTokenRate(): TokenRate {
  let per_character = 1;
  return {
    estimate: (prompt) => (prompt.kind === 'ids' ? prompt.ids.length : Math.ceil(lengthOf(prompt) * per_character)) + 1,
    learn(prompt, tokens) {
      const characters = lengthOf(prompt);
      if (prompt.kind === 'ids' || characters < 32) return; // a beginning token alone would distort it
      per_character += (Math.min(MOST_PER_CHARACTER, tokens / characters) - per_character) * NEW_PART;
    },
  };
}

// What the pool has to know of a request without the model's tokenizer: how long it is, and with which prompts it begins alike.
import { sha256Hex, utf8 } from '../../protocol/hash.ts';
import type { AnswerRequest } from '../../serving/answers.ts';

/** Prompts that begin alike so far are best read where the beginning was read before. */
const PREFIX = 256;

type Prompt = AnswerRequest['prompt'];

/** The prompt's length in its own units: tokens where it comes as ids, characters otherwise. */
export function lengthOf(prompt: Prompt): number {
  if (prompt.kind === 'ids') return prompt.ids.length;
  if (prompt.kind === 'text') return prompt.text.length;
  return wordsOf(prompt).reduce((sum, part) => sum + part.length, 0);
}

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

/** How many tokens prompts have for a character, as devices have told; at first one, as a model of bytes has it. */
export interface TokenRate {
  estimate(prompt: Prompt): number;
  learn(prompt: Prompt, tokens: number): void;
}

/** Above any tokenizer: a character of UTF-8 has four bytes, each a token at most. */
const MOST_PER_CHARACTER = 4;
const NEW_PART = 0.1;

export function openTokenRate(): TokenRate {
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

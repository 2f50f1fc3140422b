// A model's conversations: their ids, the grammar that holds an answer to its format and tools, and the reader of its calls.
import type { AnswerRequest } from './answers.ts';
import type { CallReader } from './call-reader.ts';
import { CHAT_TEMPLATES, type ChatTemplate, recogniseTemplate, type Segment } from './chat-templates.ts';
import type { TokenTable } from './engine.ts';
import { ServingError } from './errors.ts';
import { type Form, grammarOf } from './grammar/forms.ts';
import type { Grammar } from './grammar/grammar.ts';
import { checkWhole } from './grammar/whole-value.ts';
import { callReader, callsForm, maybeCallsForm } from './tool-calls.ts';

type ChatPrompt = Extract<AnswerRequest['prompt'], { kind: 'chat' }>;

/** What a served model needs for conversations. */
export interface Chat {
  readonly readChat: (chat: ChatPrompt) => number[];
  readonly openGrammar: (request: Pick<AnswerRequest, 'prompt' | 'format'>) => Grammar | null;
  /** Missing: the template has no form for tools. */
  readonly readCalls?: (chat: ChatPrompt) => CallReader;
  readonly chatStops: readonly string[];
}

/** What ends the result of a tool: within one, it would let the result speak for others. */
const RESULT_END = '</tool_response>';

/** Throws ServingError `unsupported` for a vocabulary that lacks what the template is written with. */
export function openChat(template: ChatTemplate, tokens: TokenTable): Chat {
  const missing = template.required.filter((mark) => specialId(tokens, mark) === null);
  if (missing.length > 0) {
    const fact = `has no special token ${missing.join(' or ')}`;
    throw new ServingError(
      'unsupported',
      `the model's vocabulary ${fact}, with which the chat template ${template.name} is written`,
    );
  }
  const forbidden = template.marks.filter((mark) => specialId(tokens, mark) === null);
  const { calls } = template;
  return {
    readChat(chat) {
      refuseMessages(template, chat, forbidden);
      const ids = encodeSegments(tokens, template.segments(chat.messages, toolsOf(chat)));
      return template.bos && tokens.bos_id !== null ? [tokens.bos_id, ...ids] : ids;
    },
    openGrammar: (request) => openForm(template, tokens, request),
    ...(calls !== null && { readCalls: (chat: ChatPrompt) => callReader(toolsOf(chat), calls) }),
    chatStops: template.stops,
  };
}

/**
 * What a model gets whose file says this of conversations. One whose file says nothing is talked to in the form of training data; one whose
 * form nobody knows would be talked to wrongly: it has none, and its answers can be held to a format all the same.
 */
export function chatOf(
  chat_template: string | null,
  tokens: TokenTable,
): Pick<Chat, 'openGrammar'> & Partial<Omit<Chat, 'openGrammar'>> {
  const name = chat_template === null ? 'plain' : recogniseTemplate(chat_template);
  if (name === null) return { openGrammar: (request) => openFormat(tokens, request) };
  return openChat(CHAT_TEMPLATES[name], tokens);
}

/** The grammar of an answer to a model without conversations, by its format alone. */
export function openFormat(tokens: TokenTable, { format }: Pick<AnswerRequest, 'format'>): Grammar | null {
  const form = formOf(format);
  return form && grammarOf(form, tokens).open((text) => checkWhole(format, text));
}

function openForm(
  template: ChatTemplate,
  tokens: TokenTable,
  request: Pick<AnswerRequest, 'prompt' | 'format'>,
): Grammar | null {
  const { prompt, format } = request;
  const { calls } = template;
  const tools = prompt.kind === 'chat' ? toolsOf(prompt) : [];
  if (prompt.kind !== 'chat' || tools.length === 0 || calls === null) return openFormat(tokens, request);
  const { tool_choice } = prompt;
  const several = prompt.parallel_tool_calls && typeof tool_choice === 'string';
  const called = callsForm(
    tools.filter(({ name }) => typeof tool_choice === 'string' || name === tool_choice.name),
    calls,
    several,
  );
  const said = formOf(format);
  const either: Form = said ? { kind: 'choice', parts: [said, called] } : maybeCallsForm(called, calls);
  return grammarOf(tool_choice === 'auto' ? either : called, tokens).open((text) => checkWhole(format, text));
}

function formOf(format: AnswerRequest['format']): Form | null {
  if (format.kind === 'text') return null;
  return format.kind === 'json' ? { kind: 'json' } : { kind: 'schema', schema: format.schema };
}

/** The tools that an answer may call. */
const toolsOf = ({ tools, tool_choice }: ChatPrompt): ChatPrompt['tools'] => (tool_choice === 'none' ? [] : tools);

function refuseMessages(template: ChatTemplate, chat: ChatPrompt, forbidden: readonly string[]): void {
  const { messages } = chat;
  const talks_of_tools =
    toolsOf(chat).length > 0 || messages.some(({ role, tool_calls }) => role === 'tool' || tool_calls?.length);
  if (template.calls === null && talks_of_tools) {
    throw new ServingError('unsupported', `the chat template ${template.name} has no form for tools`);
  }
  for (const { role, content } of messages) {
    const never = role === 'tool' ? [...forbidden, RESULT_END] : forbidden;
    const found = never.find((mark) => content.includes(mark));
    if (found === undefined) continue;
    const fact = `a message of ${role} holds ${JSON.stringify(found)}, which sets turns apart in this model's template`;
    throw new ServingError('bad-input', `chat: ${fact}`);
  }
}

/** The id of a text that is one special token of the vocabulary; null: it is not. */
function specialId(tokens: TokenTable, text: string): number | null {
  const ids = tokens.encode(text, true);
  return ids.length === 1 && tokens.bytesOf(ids[0]).length === 0 ? ids[0] : null;
}

/** Special tokens by their ids; all else as text in which no special token is read. */
function encodeSegments(tokens: TokenTable, segments: readonly Segment[]): number[] {
  const ids: number[] = [];
  let text = '';
  const flush = (): void => {
    if (text !== '') for (const id of tokens.encode(text, false)) ids.push(id);
    text = '';
  };
  for (const segment of segments) {
    const id = segment.special ? specialId(tokens, segment.text) : null;
    if (id === null) {
      text += segment.text;
      continue;
    }
    flush();
    ids.push(id);
  }
  flush();
  return ids;
}

// How models in wide use write conversations: a fixed list. A file's own template is recognised by its marks, never executed.
import type { ChatMessage, ToolCall } from './answers.ts';
import { ServingError } from './errors.ts';

/** A part of a conversation's text. Special tokens are read only where `special` says so, so that nobody's words make one. */
export interface Segment {
  readonly text: string;
  readonly special: boolean;
}

export interface Tool {
  readonly name: string;
  readonly description?: string | undefined;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** What spells a call of a tool: `open`, a JSON object of `name` and `arguments`, `close`. */
export interface CallMarks {
  readonly open: string;
  readonly close: string;
}

export interface ChatTemplate {
  readonly name: TemplateName;
  /** Whether the text begins with the model's beginning-of-text token, if it has one. */
  readonly bos: boolean;
  /** Each must be one special token of the vocabulary. */
  readonly required: readonly string[];
  /** What sets turns apart. Where these are plain text in a vocabulary, no message may hold them. */
  readonly marks: readonly string[];
  /** End an answer where no end token does. */
  readonly stops: readonly string[];
  /** null: the template has no form for tools. */
  readonly calls: CallMarks | null;
  /** The conversation up to where the model's answer begins. */
  segments(messages: readonly ChatMessage[], tools: readonly Tool[]): Segment[];
}

export type TemplateName =
  | 'chatml'
  | 'deepseek-3'
  | 'gemma'
  | 'llama-2'
  | 'llama-3'
  | 'mistral-3'
  | 'mistral-tekken'
  | 'phi-3'
  | 'phi-4'
  | 'zephyr'
  | 'plain';

const special = (text: string): Segment => ({ text, special: true });
const words = (text: string): Segment => ({ text, special: false });

/** As Hermes and Qwen write calls. */
const CALLS: CallMarks = { open: '<tool_call>\n', close: '\n</tool_call>' };

/** JSON with a space behind each comma and colon, as models saw it in training (Python's json.dumps). */
export function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}: ${spacedJson(member)}`).join(', ')}}`;
}

/** How a call begins, up to its arguments; they and a closing bracket follow. */
export const callHead = (name: string): string => `{"name": ${JSON.stringify(name)}, "arguments": `;

/** A message's text, with the calls that it made as the model writes them. */
function withCalls(content: string, calls: readonly ToolCall[] = []): string {
  const spelled = calls.map((call) => `${CALLS.open}${callHead(call.name)}${call.arguments}}${CALLS.close}`);
  return [...(content === '' && spelled.length > 0 ? [] : [content]), ...spelled].join('\n');
}

/** What a model is told of tools, behind what the system says anyway. The wording is Qwen's, which many models were trained with. */
function toolsText(tools: readonly Tool[]): string {
  const list = tools.map(({ name, description, parameters }) =>
    spacedJson({ type: 'function', function: { name, description, parameters } }),
  );
  return [
    '# Tools\n\nYou may call one or more functions to assist with the user query.\n',
    'You are provided with function signatures within <tools></tools> XML tags:',
    `<tools>\n${list.join('\n')}\n</tools>\n`,
    'For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:',
    '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>',
  ].join('\n');
}

/** The conversation with tools told in the system's message, and results of tools as what the user says. */
function told(
  messages: readonly ChatMessage[],
  tools: readonly Tool[],
): { readonly role: string; readonly text: string }[] {
  const turns: { role: string; text: string; result: boolean }[] = [];
  const [first] = messages;
  if (tools.length > 0) {
    const said = first?.role === 'system' ? `${first.content}\n\n` : '';
    turns.push({ role: 'system', text: said + toolsText(tools), result: false });
  }
  for (const message of tools.length > 0 && first?.role === 'system' ? messages.slice(1) : messages) {
    const last = turns[turns.length - 1];
    if (message.role !== 'tool') {
      turns.push({ role: message.role, text: withCalls(message.content, message.tool_calls), result: false });
      continue;
    }
    const text = `<tool_response>\n${message.content}\n</tool_response>`;
    if (last?.result) last.text += `\n${text}`;
    else turns.push({ role: 'user', text, result: true });
  }
  return turns;
}

const chatml: ChatTemplate = {
  name: 'chatml',
  bos: false,
  required: ['<|im_start|>', '<|im_end|>'],
  marks: [],
  stops: [],
  calls: CALLS,
  segments: (messages, tools) => [
    ...told(messages, tools).flatMap(({ role, text }) => [
      special('<|im_start|>'),
      words(`${role}\n${text}`),
      special('<|im_end|>'),
      words('\n'),
    ]),
    special('<|im_start|>'),
    words('assistant\n'),
  ],
};

const llama3: ChatTemplate = {
  name: 'llama-3',
  bos: true,
  required: ['<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'],
  marks: [],
  stops: [],
  calls: null,
  segments: (messages) => {
    const header = (role: string): Segment[] => [
      special('<|start_header_id|>'),
      words(role),
      special('<|end_header_id|>'),
    ];
    const turns = messages.flatMap(({ role, content }) => [
      ...header(role),
      words(`\n\n${content.trim()}`),
      special('<|eot_id|>'),
    ]);
    return [...turns, ...header('assistant'), words('\n\n')];
  },
};

/** A question, its answer, a question: the form knows no other order. */
function refuseOtherOrders(template: TemplateName, messages: readonly ChatMessage[]): void {
  for (const [i, { role }] of messages.entries()) {
    const expected = i % 2 === 0 ? 'user' : 'assistant';
    if (role === expected) continue;
    const fact = `expected user and assistant by turns, got ${role} instead of ${expected}`;
    throw new ServingError('bad-input', `chat template ${template}: ${fact}`);
  }
}

/** The system's words, and what user and model said by turns behind them. */
function bySystem(template: TemplateName, messages: readonly ChatMessage[]) {
  const [first, ...rest] = messages;
  const turns = first?.role === 'system' ? rest : messages;
  refuseOtherOrders(template, turns);
  return { system: first?.role === 'system' ? first.content : null, turns };
}

const llama2: ChatTemplate = {
  name: 'llama-2',
  bos: false, // each exchange begins with it
  required: ['<s>', '</s>'],
  marks: ['[INST]', '[/INST]', '<<SYS>>', '<</SYS>>'],
  stops: [],
  calls: null,
  segments: (messages) => {
    const { system, turns } = bySystem('llama-2', messages);
    const head = system === null ? '' : `<<SYS>>\n${system}\n<</SYS>>\n\n`;
    return turns.flatMap(({ role, content }, i) =>
      role === 'assistant'
        ? [words(` ${content.trim()} `), special('</s>')]
        : [special('<s>'), words(`[INST] ${i === 0 ? head : ''}${content.trim()} [/INST]`)],
    );
  },
};

/** Gemma 2 and 3: no turn of the system, whose words stand before the first question. */
const gemma: ChatTemplate = {
  name: 'gemma',
  bos: true,
  required: ['<start_of_turn>', '<end_of_turn>'],
  marks: [],
  stops: [],
  calls: null,
  segments: (messages) => {
    const { system, turns } = bySystem('gemma', messages);
    const begin = (role: string, text: string): Segment[] => [special('<start_of_turn>'), words(`${role}\n${text}`)];
    return [
      ...turns.flatMap(({ role, content }, i) => [
        ...begin(
          role === 'assistant' ? 'model' : role,
          `${i === 0 && system !== null ? `${system}\n\n` : ''}${content.trim()}`,
        ),
        special('<end_of_turn>'),
        words('\n'),
      ]),
      ...begin('model', ''),
    ];
  },
};

/**
 * Mistral's forms since the third: the system's words stand before the last question. The vocabularies called Tekken put no space behind a
 * mark, the older ones do.
 */
const mistral = (name: 'mistral-3' | 'mistral-tekken', space: string): ChatTemplate => ({
  name,
  bos: true,
  required: ['[INST]', '[/INST]', '</s>'],
  marks: [],
  stops: [],
  calls: null,
  segments: (messages) => {
    const { system, turns } = bySystem(name, messages);
    const last = turns.findLastIndex(({ role }) => role === 'user');
    return turns.flatMap(({ role, content }, i) => {
      if (role === 'assistant') return [words(`${space}${content}`), special('</s>')];
      const before = i === last && system !== null ? `${system}\n\n` : '';
      return [special('[INST]'), words(`${space}${before}${content}`), special('[/INST]')];
    });
  },
});

/** Phi 3 and 3.5. */
const phi3: ChatTemplate = {
  name: 'phi-3',
  bos: false,
  required: ['<|user|>', '<|assistant|>', '<|system|>', '<|end|>'],
  marks: [],
  stops: [],
  calls: null,
  segments: (messages) => [
    ...messages.flatMap(({ role, content }) => [
      special(`<|${role}|>`),
      words(`\n${content}`),
      special('<|end|>'),
      words('\n'),
    ]),
    special('<|assistant|>'),
    words('\n'),
  ],
};

const phi4: ChatTemplate = {
  name: 'phi-4',
  bos: false,
  required: ['<|im_start|>', '<|im_sep|>', '<|im_end|>'],
  marks: [],
  stops: [],
  calls: null,
  segments: (messages) => {
    const head = (role: string): Segment[] => [special('<|im_start|>'), words(role), special('<|im_sep|>')];
    const turns = messages.flatMap(({ role, content }) => [...head(role), words(content), special('<|im_end|>')]);
    return [...turns, ...head('assistant')];
  },
};

/** DeepSeek 2.5, 3 and R1: the system's words stand at the beginning, without a mark. */
const deepseek3: ChatTemplate = {
  name: 'deepseek-3',
  bos: true,
  required: ['<｜User｜>', '<｜Assistant｜>', '<｜end▁of▁sentence｜>'],
  marks: [],
  stops: [],
  calls: null,
  segments: (messages) => {
    const { system, turns } = bySystem('deepseek-3', messages);
    return [
      words(system ?? ''),
      ...turns.flatMap(({ role, content }) =>
        role === 'assistant'
          ? [special('<｜Assistant｜>'), words(content), special('<｜end▁of▁sentence｜>')]
          : [special('<｜User｜>'), words(content)],
      ),
      special('<｜Assistant｜>'),
    ];
  },
};

const zephyr: ChatTemplate = {
  name: 'zephyr',
  bos: true,
  required: ['</s>'],
  marks: ['<|system|>', '<|user|>', '<|assistant|>'],
  stops: [],
  calls: null,
  segments: (messages) => [
    ...messages.flatMap(({ role, content }) => [
      special(`<|${role}|>`),
      words(`\n${content}`),
      special('</s>'),
      words('\n'),
    ]),
    special('<|assistant|>'),
    words('\n'),
  ],
};

/** As Potluck's training data keeps conversations (training/corpus-record.ts): for models without special tokens for turns. */
const plain: ChatTemplate = {
  name: 'plain',
  bos: true,
  required: [],
  marks: ['\n\nsystem:', '\n\nuser:', '\n\nassistant:'],
  stops: ['\n\nsystem:', '\n\nuser:'],
  calls: CALLS,
  segments: (messages, tools) => [
    words([...told(messages, tools).map(({ role, text }) => `${role}: ${text}`), 'assistant:'].join('\n\n')),
  ],
};

export const CHAT_TEMPLATES: Readonly<Record<TemplateName, ChatTemplate>> = {
  chatml,
  'deepseek-3': deepseek3,
  gemma,
  'llama-3': llama3,
  'llama-2': llama2,
  'mistral-3': mistral('mistral-3', ' '),
  'mistral-tekken': mistral('mistral-tekken', ''),
  'phi-3': phi3,
  'phi-4': phi4,
  zephyr,
  plain,
};

/** The marks by which a file's template is known, those that it must not have, and what it then is. */
const RECOGNISED: readonly {
  readonly has: readonly string[];
  readonly lacks: readonly string[];
  readonly name: TemplateName;
}[] = [
  { has: ['<|im_start|>', '<|im_end|>'], lacks: ['<|im_sep|>'], name: 'chatml' },
  { has: ['<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'], lacks: [], name: 'llama-3' },
  { has: ['[INST]', '[/INST]', '<<SYS>>'], lacks: [], name: 'llama-2' },
  // The first form of Mistral and the seventh put other things around a question; what tells Tekken is that no space stands within the quotes.
  { has: ['[AVAILABLE_TOOLS]', '"[INST]"', '[/INST]'], lacks: ['[SYSTEM_PROMPT]', ' [INST]'], name: 'mistral-tekken' },
  { has: ['[AVAILABLE_TOOLS]', '[INST]', '[/INST]'], lacks: ['[SYSTEM_PROMPT]', ' [INST]'], name: 'mistral-3' },
  { has: ['<start_of_turn>', '<end_of_turn>'], lacks: [], name: 'gemma' },
  { has: ['<|im_start|>', '<|im_sep|>', '<|im_end|>'], lacks: [], name: 'phi-4' },
  { has: ['<|user|>', '<|assistant|>', '<|end|>'], lacks: ['<|im_start|>', '[gMASK]', '<|tool|>'], name: 'phi-3' },
  { has: ['<｜User｜>', '<｜Assistant｜>', '<｜end▁of▁sentence｜>'], lacks: [], name: 'deepseek-3' },
  { has: ['<|user|>', '<|assistant|>'], lacks: ['<|end|>', '<|im_start|>', '[gMASK]'], name: 'zephyr' },
];

/**
 * Which template a file's `chat_template` is: one of our names, or a Jinja text, of which only the marks are looked at (as llama.cpp does).
 * null: none that is known.
 */
export function recogniseTemplate(chat_template: string): TemplateName | null {
  if (Object.hasOwn(CHAT_TEMPLATES, chat_template)) return chat_template as TemplateName;
  const found = RECOGNISED.find(
    ({ has, lacks }) =>
      has.every((mark) => chat_template.includes(mark)) && !lacks.some((mark) => chat_template.includes(mark)),
  );
  return found?.name ?? null;
}

// The text of one record from a JSON line, an array or a row of a table: a field, a path to a field, or a chat.

/** Where the text usually is: the names in data sets on Hugging Face, then chats under OpenAI's and ShareGPT's names. */
export const USUAL_FIELDS = ['text', 'messages', 'conversations'];
/** How many field names an error lists. */
const LISTED = 8;

/** A text; nothing where the field is null or a chat is empty; or why there is no text, as the end of "line 3 …". */
export type Found = { readonly text: string; readonly chat: boolean } | { readonly fault: string } | null;

type Fields = Readonly<Record<string, unknown>>;
/** The names of a record's fields, or the first of them. */
const namesIn = (record: Fields): string => Object.keys(record).slice(0, LISTED).join(', ');

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);

const ABSENT = Symbol('absent');

/** The value at a path of names with dots between them. A name may itself contain dots; for a list, the values in each element. */
function at(value: unknown, path: string): unknown {
  if (value === null) return null;
  if (Array.isArray(value)) {
    const found = value.map((element) => at(element, path)).filter((part) => part !== ABSENT);
    if (found.length === 0 && value.length > 0) return ABSENT;
    return found.filter((part) => part !== null && part !== undefined).flat();
  }
  if (!isObject(value)) return ABSENT;
  if (Object.hasOwn(value, path)) return value[path];
  for (let dot = path.indexOf('.'); dot > 0; dot = path.indexOf('.', dot + 1)) {
    const name = path.slice(0, dot);
    const found = Object.hasOwn(value, name) ? at(value[name], path.slice(dot + 1)) : ABSENT;
    if (found !== ABSENT) return found;
  }
  return ABSENT;
}

/** ShareGPT's names of speakers, under the usual names. */
const ROLES: Readonly<Record<string, string>> = {
  human: 'user',
  gpt: 'assistant',
  chatgpt: 'assistant',
  bing: 'assistant',
};

interface Message {
  readonly role: unknown;
  readonly content: unknown;
}

/** One message of a chat, in OpenAI's or ShareGPT's form; null where it has neither. */
function messageOf(value: unknown): Message | null {
  if (!isObject(value)) return null;
  if (Object.hasOwn(value, 'role')) return { role: value.role, content: value.content };
  return Object.hasOwn(value, 'from') ? { role: value.from, content: value.value } : null;
}

/** The text of a message: a string, or the text parts of a list of parts. */
function contentOf(content: unknown): string | null {
  if (typeof content === 'string') return content;
  if (content === null || content === undefined) return ''; // a tool call has no text
  if (!Array.isArray(content)) return null;
  const parts = content.map((part) => (isObject(part) ? part.text : part));
  return parts.filter((part) => typeof part === 'string').join('\n');
}

/**
 * A chat as text: the speaker, a colon and what was said, with an empty line between messages. Messages without text are left out.
 * The template is plain on purpose: it costs few tokens with every tokenizer.
 */
function chatText(messages: readonly Message[]): Found {
  const said: string[] = [];
  for (const [index, { role, content }] of messages.entries()) {
    const text = contentOf(content);
    if (typeof role !== 'string') return { fault: `is a chat whose message ${index + 1} does not say who speaks` };
    if (text === null) return { fault: `is a chat whose message ${index + 1} has no text but ${nameOf(content)}` };
    if (text.trim() !== '') said.push(`${ROLES[role] ?? role}: ${text}`);
  }
  return said.length > 0 ? { text: said.join('\n\n'), chat: true } : null;
}

/** Describes a value in words. */
function nameOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (isObject(value)) return `an object (its fields: ${namesIn(value)})`;
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  return ArrayBuffer.isView(value) ? 'bytes' : `a ${typeof value}`;
}

/** A list; some writers wrap it: Parquet's older lists are objects with one field. */
function unwrapped(value: unknown): unknown {
  if (!isObject(value)) return value;
  const parts = Object.values(value);
  return parts.length === 1 && Array.isArray(parts[0]) && parts[0].every(isObject) ? parts[0] : value;
}

function textOfValue(value: unknown, field: string): Found {
  if (typeof value === 'string') return { text: value, chat: false };
  if (value === null) return null;
  const list = unwrapped(value);
  if (!Array.isArray(list)) return { fault: `has no text in "${field}": ${field} is ${nameOf(value)}, not text` };
  if (list.length === 0) return null;
  const messages = list.map(messageOf);
  if (messages.every((message) => message !== null)) return chatText(messages);
  // A path through a list may lead to the texts of its elements.
  if (field.includes('.') && list.every((part) => typeof part === 'string')) {
    return { text: list.join('\n'), chat: false };
  }
  return { fault: `has no text in "${field}": ${field} is a list, not text` };
}

/** The text of a record, from the field that was asked for or from the usual ones. */
export function textOf(record: unknown, field?: string): Found {
  if (typeof record === 'string') return { text: record, chat: false };
  if (!isObject(record)) return { fault: 'is not a JSON object' };
  const name = field ?? USUAL_FIELDS.find((usual) => Object.hasOwn(record, usual)) ?? USUAL_FIELDS[0];
  const value = at(record, name);
  if (value !== ABSENT) return textOfValue(value, name);
  return { fault: `has no text in "${name}" (its fields: ${namesIn(record)})` };
}

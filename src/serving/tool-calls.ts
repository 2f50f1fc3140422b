// Calls of tools in the text of an answer: the form that holds them, and the reader that finds them.
import { heldBack } from './answer-text.ts';
import type { CallReader, FoundCall } from './call-reader.ts';
import { type CallMarks, callHead, type Tool } from './chat-templates.ts';
import { ServingError } from './errors.ts';
import type { Form } from './grammar/forms.ts';
import { wholeValue } from './grammar/whole-value.ts';

/** The form of one call or several of these tools. */
export function callsForm(tools: readonly Tool[], { open, close }: CallMarks, several: boolean): Form {
  const call: Form = {
    kind: 'sequence',
    parts: [
      { kind: 'text', text: open },
      {
        kind: 'choice',
        parts: tools.map(({ name, parameters }) => ({
          kind: 'sequence',
          parts: [
            { kind: 'text', text: callHead(name) },
            { kind: 'schema', schema: parameters },
            { kind: 'text', text: '}' },
          ],
        })),
      },
      { kind: 'text', text: close },
    ],
  };
  return several ? { kind: 'repeated', part: call, between: '\n' } : call;
}

/** Anything, or what calls follow: a text in which calls begin is made of whole calls from there on. */
export function maybeCallsForm(calls: Form, { open }: CallMarks): Form {
  const free: Form = { kind: 'without', text: open.trim() };
  return { kind: 'choice', parts: [free, { kind: 'sequence', parts: [free, calls] }] };
}

/** Finds the calls of these tools in an answer's text, while it comes. */
export function callReader(tools: readonly Tool[], { open, close }: CallMarks): CallReader {
  const mark = open.trim();
  let held = '';
  let calling = false;
  return {
    push(text) {
      held += text;
      if (calling) return '';
      const at = held.indexOf(mark);
      calling = at >= 0;
      // Spaces before a call belong to it, so they wait, too.
      const certain = held.slice(0, calling ? at : held.length - heldBack(held, [mark])).trimEnd();
      held = held.slice(certain.length);
      return certain;
    },
    end() {
      if (!calling) return { text: held, calls: [] };
      const calls: FoundCall[] = [];
      let rest = held.trimStart();
      while (rest.startsWith(mark)) {
        const body = rest.slice(mark.length).trimStart();
        const length = objectLength(body);
        const behind = body.slice(length ?? body.length).trimStart();
        // What the answer's end cut off is no call; the reason of the end says so.
        if (length === null || (behind !== close.trim() && close.trim().startsWith(behind))) return { text: '', calls };
        if (!behind.startsWith(close.trim()))
          throw new ServingError('bad-grammar', `answer: a tool's call without ${close.trim()}`);
        calls.push(readCall(tools, body.slice(0, length)));
        rest = behind.slice(close.trim().length).trimStart();
      }
      return { text: rest, calls };
    },
  };
}

/** The length of the JSON object with which a text begins; null where the text ends within it. Strings may hold any brackets. */
function objectLength(text: string): number | null {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (quoted) {
      if (character === '\\') i++;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') depth--;
    if (depth === 0 && !quoted) return i + 1;
  }
  return null;
}

function readCall(tools: readonly Tool[], text: string): FoundCall {
  let call: unknown;
  try {
    call = JSON.parse(text);
  } catch (error) {
    throw new ServingError('bad-grammar', `answer: expected a tool's call as JSON, got ${(error as Error).message}`);
  }
  const { name, arguments: given } = Object(call) as { readonly name?: unknown; readonly arguments?: unknown };
  const tool = tools.find((known) => known.name === name);
  if (tool === undefined) {
    throw new ServingError(
      'bad-grammar',
      `answer: calls the tool ${JSON.stringify(name)}, which is not among those given`,
    );
  }
  const written = JSON.stringify(given) ?? 'null';
  wholeValue(tool.parameters, written);
  return { name: tool.name, arguments: written };
}

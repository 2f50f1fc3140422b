// A conversation with a model of the pool, while the page is open: whose turn it is, what was said, and what is being said.
import type { ChatTurn } from '../pool/pool-client.ts';

export interface Said extends ChatTurn {
  readonly state: 'whole' | 'writing' | 'stopped' | 'failed';
  /** With which an answer was drawn; null of what people say. */
  readonly seed: number | null;
}

export interface Conversation {
  readonly turns: readonly Said[];
  readonly problem: string;
}

export const NEW_CONVERSATION: Conversation = { turns: [], problem: '' };

const last = ({ turns }: Conversation): Said | undefined => turns.at(-1);

export const isAnswering = (conversation: Conversation): boolean => last(conversation)?.state === 'writing';

/** A person speaks, and the answer begins. */
export function spoken({ turns }: Conversation, content: string, seed: number): Conversation {
  const said: Said = { role: 'user', content, state: 'whole', seed: null };
  return { turns: [...turns, said, answer(seed)], problem: '' };
}

const answer = (seed: number): Said => ({ role: 'assistant', content: '', state: 'writing', seed });

/** The last answer is to be given once more, with another seed; null where there is none. */
export function askedAgain(conversation: Conversation, seed: number): Conversation | null {
  if (isAnswering(conversation)) return null;
  const { turns } = conversation;
  const question = turns.findLastIndex(({ role }) => role === 'user');
  return question < 0 ? null : { turns: [...turns.slice(0, question + 1), answer(seed)], problem: '' };
}

/** What the model is told: everything before the answer that it writes. Empty answers say nothing. */
export const toldTo = ({ turns }: Conversation): ChatTurn[] =>
  turns
    .slice(0, -1)
    .filter(({ content }) => content !== '')
    .map(({ role, content }) => ({ role, content }));

export function heard(conversation: Conversation, text: string): Conversation {
  return changed(conversation, ({ content }) => ({ content: content + text }));
}

/** The answer is over. One without a word goes, but for a whole one: then the model had nothing to say. */
export function over(conversation: Conversation, state: 'whole' | 'stopped' | 'failed', problem = ''): Conversation {
  const isEmpty = state !== 'whole' && last(conversation)?.content === '';
  const { turns } = isEmpty ? { turns: conversation.turns.slice(0, -1) } : changed(conversation, () => ({ state }));
  return { turns, problem };
}

function changed(conversation: Conversation, change: (said: Said) => Partial<Said>): Conversation {
  const said = last(conversation);
  if (said?.state !== 'writing') return conversation;
  return { ...conversation, turns: [...conversation.turns.slice(0, -1), { ...said, ...change(said) }] };
}

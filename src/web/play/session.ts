// Play's session while the page is open: the settings, the loaded model, and the texts that it has written.
import type { GenerateProgress } from '../../model/generate.ts';
import { type FromModel, type LoadedModel, THIS_BROWSER, type WriteOrder, type Writer } from './play-messages.ts';

/** How many texts are remembered. */
const REMEMBERED = 20;

/** A text with the settings and the model that it came from, so that what is shown beside it stays true when the settings change. */
export interface WrittenText {
  readonly number: number;
  readonly order: WriteOrder;
  readonly text: string;
  /** Whether it was asked for together with the one before, to be compared with it. */
  readonly beside: boolean;
  /** null until the model is there, and where the pool writes. */
  readonly model: LoadedModel | null;
  readonly read_as: string | null;
  readonly progress: GenerateProgress | null;
  readonly state: 'waiting' | 'writing' | 'written' | 'stopped' | 'failed';
}

export interface PlaySession {
  readonly prompt: string;
  readonly length: number;
  readonly temperature: number;
  readonly top_p: number;
  /** The seed of the next text. */
  readonly seed: number;
  readonly writer: Writer;
  /** Whether a conversation with the writer is wanted, not that it goes on with texts. */
  readonly talks: boolean;
  /** Who writes the same, to be seen beside it; null: nobody. */
  readonly beside: Writer | null;
  /** Write the newest text again with each new model. */
  readonly again: boolean;
  /** `asleep`: no model is loaded. */
  readonly phase: 'asleep' | 'loading' | 'writing' | 'ready';
  readonly loading: string;
  readonly model: LoadedModel | null;
  readonly tokens_per_second: number | null;
  readonly problem: string;
  /** Newest first. */
  readonly texts: readonly WrittenText[];
}

export const NEW_SESSION: PlaySession = {
  prompt: 'The ',
  length: 200,
  temperature: 0.7,
  top_p: 0.95,
  seed: 1,
  writer: THIS_BROWSER,
  talks: false,
  beside: null,
  again: false,
  phase: 'asleep',
  loading: '',
  model: null,
  tokens_per_second: null,
  problem: '',
  texts: [],
};

/** The pool writes the newest text from now on. */
export interface FromPool {
  readonly kind: 'pool-begun';
}

export const isBusy = ({ phase }: PlaySession): boolean => phase === 'loading' || phase === 'writing';

/** The order that the settings describe. */
export const orderOf = ({ writer, prompt, length, temperature, top_p, seed }: PlaySession): WriteOrder => ({
  writer,
  prompt,
  max_tokens: length,
  temperature,
  top_p,
  seed,
});

/** The same order for everybody who is to write it. */
export const ordersOf = (session: PlaySession): readonly WriteOrder[] => {
  const order = orderOf(session);
  const { beside } = session;
  return beside === null || beside === order.writer ? [order] : [order, { ...order, writer: beside }];
};

/** A text was requested. The next one gets another seed. @param beside whether it belongs to the one before */
export function asked(session: PlaySession, order: WriteOrder, beside = false): PlaySession {
  const number = (session.texts[0]?.number ?? 0) + 1;
  const text: WrittenText = {
    number,
    order,
    text: '',
    beside,
    model: null,
    read_as: null,
    progress: null,
    state: 'waiting',
  };
  return {
    ...session,
    seed: order.seed === session.seed ? order.seed + 1 : session.seed,
    phase: 'loading',
    loading: waitedFor(session, order),
    problem: '',
    texts: [text, ...session.texts].slice(0, REMEMBERED),
  };
}

function waitedFor({ model }: PlaySession, { writer }: WriteOrder): string {
  if (writer !== THIS_BROWSER) return `an answer of ${writer}`;
  return model ? 'the newest model' : 'the model';
}

/** The session after a message of the Worker. */
export function afterMessage(session: PlaySession, message: FromModel | FromPool): PlaySession {
  switch (message.kind) {
    case 'loading':
      return { ...session, phase: 'loading', loading: message.what };
    case 'begun': {
      const { model, read_as } = message;
      return newest({ ...session, phase: 'writing', model }, { model, read_as, state: 'writing' });
    }
    case 'pool-begun':
      return newest({ ...session, phase: 'writing' }, { state: 'writing' });
    case 'piece': {
      const text = (session.texts[0]?.text ?? '') + message.text;
      return newest(session, { text, progress: message.progress });
    }
    case 'done': {
      const { progress, seconds, stopped } = message;
      const speed = progress.written_tokens / seconds;
      const isHere = session.texts[0]?.order.writer === THIS_BROWSER && !stopped && Number.isFinite(speed);
      const tokens_per_second = isHere ? speed : session.tokens_per_second;
      return newest(
        { ...session, phase: 'ready', tokens_per_second },
        { progress, state: stopped ? 'stopped' : 'written' },
      );
    }
    case 'failed':
      return ended(session, 'failed', message.message);
  }
}

/** The Worker has ended, and its model is lost. */
export const dropped = (session: PlaySession, problem = ''): PlaySession => ({
  ...(isBusy(session) ? ended(session, problem ? 'failed' : 'stopped', problem) : session),
  phase: 'asleep',
  model: null,
});

/** The newest text, and the one that it is compared with, in the order in which they were asked for. */
export const newestTexts = ({ texts }: PlaySession): readonly WrittenText[] =>
  texts.slice(0, texts[0]?.beside ? 2 : 1).toReversed();

/** The unfinished text ends as it is; one without a word is removed. */
function ended(session: PlaySession, state: 'stopped' | 'failed', problem: string): PlaySession {
  const phase = session.model ? 'ready' : 'asleep';
  const [first, ...others] = session.texts;
  if (first?.text === '') return { ...session, phase, problem, texts: others };
  return newest({ ...session, phase, problem }, { state });
}

function newest(session: PlaySession, change: Partial<WrittenText>): PlaySession {
  const [first, ...others] = session.texts;
  return first ? { ...session, texts: [{ ...first, ...change }, ...others] } : session;
}

/** The state of a text in sentences; empty while there is nothing to say. */
export function sentencesOf({ state, progress, read_as, model, order }: WrittenText): string[] {
  if (!progress) return [];
  const { prompt_tokens, read_tokens, written_tokens, end_of_text } = progress;
  const count = `${written_tokens} ${written_tokens === 1 ? 'token' : 'tokens'}`;
  const said = [];
  if (state === 'writing') said.push(`${count} of ${order.max_tokens} so far.`);
  else if (state === 'stopped') said.push(`Stopped after ${count}.`);
  else if (state === 'failed') said.push(`It broke off after ${count}.`);
  else if (end_of_text) said.push(`The model ended the text itself after ${count}.`);
  else said.push(`${count}.`);
  if (read_tokens < prompt_tokens)
    said.push(
      `It sees ${model?.context} tokens at once, so it read only the last ${read_tokens} of your ${prompt_tokens} tokens.`,
    );
  if (read_as !== null)
    said.push(`Its tokenizer does not know every character of the beginning; it read “${read_as}”.`);
  return said;
}

// A conversation with a model of the pool: what was said, a field for the next words, stop, again, copy.
import { useState } from 'preact/hooks';
import { poolAddress } from '../pool/known-pool.ts';
import { poolChat } from '../pool/pool-client.ts';
import { createStore, type Store, useStore } from '../shell/store.ts';
import {
  askedAgain,
  type Conversation,
  heard,
  isAnswering,
  NEW_CONVERSATION,
  over,
  type Said,
  spoken,
  toldTo,
} from './conversation.ts';
import { CopyButton } from './copy-button.tsx';
import { orderOf, type PlaySession } from './session.ts';

/** The conversations of this page, by model. They outlive the view. */
const conversations = new Map<string, Store<Conversation>>();
const stops = new Map<string, AbortController>();

function conversationWith(model: string): Store<Conversation> {
  let store = conversations.get(model);
  if (!store) {
    store = createStore(NEW_CONVERSATION);
    conversations.set(model, store);
  }
  return store;
}

/** Has the model answer what was said last. */
async function answer(model: string, session: PlaySession): Promise<void> {
  const store = conversationWith(model);
  const stop = new AbortController();
  stops.set(model, stop);
  try {
    for await (const text of poolChat(poolAddress(), model, toldTo(store.get()), orderOf(session), stop.signal)) {
      store.set(heard(store.get(), text));
    }
    store.set(over(store.get(), 'whole'));
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    store.set(stop.signal.aborted ? over(store.get(), 'stopped') : over(store.get(), 'failed', problem));
  }
}

export function ConversationView(props: {
  model: string;
  session: PlaySession;
  change: (part: Partial<PlaySession>) => void;
}) {
  const { model, session, change } = props;
  const store = conversationWith(model);
  const conversation = useStore(store);
  const [words, setWords] = useState('');
  const isBusy = isAnswering(conversation);
  /** The next answer is drawn with another seed. */
  const go = (next: Conversation): void => {
    store.set(next);
    void answer(model, session);
    change({ seed: session.seed + 1 });
  };
  const say = (): void => {
    if (isBusy || words.trim() === '') return;
    go(spoken(conversation, words, session.seed));
    setWords('');
  };
  const again = askedAgain(conversation, session.seed);
  return (
    <section aria-label={`A conversation with ${model}`} class="conversation">
      <ol class="turns" aria-live="off">
        {conversation.turns.map((said, at) => (
          <Turn key={at} said={said} />
        ))}
      </ol>
      {conversation.problem && (
        <p class="verdict bad" role="alert">
          The pool could not answer: {conversation.problem}
        </p>
      )}
      <form
        class="prompt"
        onSubmit={(event) => {
          event.preventDefault();
          say();
        }}
      >
        <label>
          Say something
          <textarea
            rows={2}
            value={words}
            onInput={(event) => setWords(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
              event.preventDefault();
              say();
            }}
          />
        </label>
        <p class="actions">
          {isBusy ? (
            <button type="button" onClick={() => stops.get(model)?.abort()}>
              Stop
            </button>
          ) : (
            <button type="submit" class="primary">
              Say it
            </button>
          )}
          {again && (
            <button type="button" onClick={() => go(again)}>
              Answer again
            </button>
          )}
          {conversation.turns.length > 0 && !isBusy && (
            <button type="button" onClick={() => store.set(NEW_CONVERSATION)}>
              New conversation
            </button>
          )}
        </p>
      </form>
    </section>
  );
}

const ENDS: Readonly<Record<Said['state'], string>> = {
  whole: '',
  writing: '',
  stopped: 'You stopped it. ',
  failed: 'It broke off. ',
};

function Turn({ said: { role, content, state, seed } }: { said: Said }) {
  return (
    <li class={role}>
      <p class="words" aria-busy={state === 'writing'}>
        <span class="visually-hidden">{role === 'user' ? 'You: ' : 'The model: '}</span>
        {content}
        {state === 'writing' && <span class="caret" />}
      </p>
      {role === 'assistant' && state !== 'writing' && (
        <p class="fine">
          {ENDS[state]}Seed {seed}. <CopyButton text={content} />
        </p>
      )}
    </li>
  );
}

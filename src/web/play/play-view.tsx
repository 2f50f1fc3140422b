// Write with the current model: it is downloaded into this browser and runs here, so that it works without the hub. Or let the hub's pool write.

import { useEffect } from 'preact/hooks';
import { trainsOnText } from '../../games/text-training.ts';
import { nameOf } from '../shell/format.ts';
import type { ViewProps } from '../shell/live.ts';
import { useStore } from '../shell/store.ts';
import { opensOffline, sessionOf, stop, write } from './loaded-model.ts';
import './play.css';
import { pool } from '../pool/known-pool.ts';
import { ConversationView } from './conversation-view.tsx';
import { THIS_BROWSER, type WriteOrder } from './play-messages.ts';
import { isBusy, newestTexts, orderOf, ordersOf, type PlaySession } from './session.ts';
import { chatModelOf, WhoWrites } from './who-writes.tsx';
import { AboutModel, EarlierTexts, NewestTexts, wholeOf } from './written-text.tsx';

const LENGTHS = [60, 200, 600] as const;

export function PlayView({ live, run }: ViewProps & { run: string }) {
  const overview = live.runs.get(run)?.overview;
  const store = sessionOf(run);
  const session = useStore(store);
  const here = live.connection === 'live';
  const begin = (...orders: readonly WriteOrder[]): void => write(run, orders, here);
  const change = (part: Partial<PlaySession>): void => store.set({ ...store.get(), ...part });
  const newest = overview?.model;
  const { again, model, texts } = session;
  const ended = overview?.phase === 'finished';
  useStore(pool);
  const chat = chatModelOf(session);
  const isHere = session.writer === THIS_BROWSER || (!chat && session.beside === THIS_BROWSER);
  // The same beginning, settings and seed after each round, so that only the model changes.
  useEffect(() => {
    if (again && here && texts[0] && model && newest && newest !== model.hash && !isBusy(session))
      begin(texts[0].order);
  }, [again, here, newest, session.phase]);

  if (!overview && here && !model) return <p class="loading">This hub has no such run.</p>;
  if (overview && !trainsOnText(overview.game)) {
    return (
      <p class="loading">
        “{nameOf(overview.name)}” trains no model that writes: it plays {overview.game}.
      </p>
    );
  }
  return (
    <article class="play">
      <div class="headline">
        <h1>Play</h1>
      </div>
      <p class="lead">
        {isHere ? (
          <>
            The {ended ? 'last' : 'newest'} model{overview && <> of “{nameOf(overview.name)}”</>} writes here, in your
            own browser. It is fetched once and checked by its hash; from then on it needs no hub. It continues whatever
            you begin.
          </>
        ) : (
          <>Somebody's device {chat ? 'answers you' : 'continues what you begin'}, by way of this hub.</>
        )}
      </p>
      <WhoWrites session={session} change={change} here={here} />
      {chat ? (
        <>
          <ConversationView model={chat.name} session={session} change={change} />
          <div class="actions">
            <Drawing session={session} change={change} />
          </div>
        </>
      ) : (
        <Texts {...{ run, session, change, ended, begin }} />
      )}
      {!chat && !texts[0] && !model && session.writer === THIS_BROWSER && (
        <p class="fine">The page fetches the model, and the code that computes it, when you press the button.</p>
      )}
      {isHere && model && <AboutModel session={session} model={model} newest={newest ?? null} here={here} />}
      {isHere && model && <OpensOffline kept={model.kept} />}
      {!chat && <EarlierTexts texts={texts.slice(newestTexts(session).length)} />}
    </article>
  );
}

type Change = (part: Partial<PlaySession>) => void;

/** The field for a beginning, and what was written behind the last one. */
function Texts(props: {
  run: string;
  session: PlaySession;
  change: Change;
  /** No newer model will follow this one. */
  ended: boolean;
  begin: (...orders: readonly WriteOrder[]) => void;
}) {
  const { run, session, change, ended, begin } = props;
  const now = (): PlaySession => sessionOf(run).get();
  return (
    <>
      <form
        class="prompt"
        onSubmit={(event) => {
          event.preventDefault();
          // The fields are read directly, because one may have changed since the last render.
          if (!isBusy(now())) begin(...ordersOf(now()));
        }}
      >
        <label>
          Begin a text
          <textarea
            rows={3}
            value={session.prompt}
            onInput={(event) => change({ prompt: event.currentTarget.value })}
          />
        </label>
        <Settings session={session} change={change} ended={ended} onStop={() => stop(run)} />
      </form>
      {session.problem && (
        <p class="verdict bad" role="alert">
          {session.problem}
        </p>
      )}
      <NewestTexts
        texts={newestTexts(session)}
        onContinue={(text) => begin({ ...orderOf(now()), writer: text.order.writer, prompt: wholeOf(text) })}
        busy={isBusy(session)}
      />
    </>
  );
}

function Settings(props: { session: PlaySession; change: Change; ended: boolean; onStop: () => void }) {
  const { session, change, ended, onStop } = props;
  return (
    <div class="actions">
      {isBusy(session) ? (
        <button type="button" onClick={onStop}>
          {session.phase === 'loading' ? 'Stop fetching' : 'Stop'}
        </button>
      ) : (
        <button type="submit" class="primary">
          {session.texts.length === 0 ? 'Let it write' : 'Write another'}
        </button>
      )}
      <Drawing session={session} change={change} />
      {!ended && session.writer === THIS_BROWSER && (
        <label class="inline check">
          <input
            type="checkbox"
            checked={session.again}
            onChange={(event) => change({ again: event.currentTarget.checked })}
          />
          Again after every round
        </label>
      )}
      {session.phase === 'loading' && (
        <p class="fine" role="status">
          Fetching {session.loading} …
        </p>
      )}
    </div>
  );
}

/** How long a text may be, and how its tokens are drawn. */
function Drawing({ session, change }: { session: PlaySession; change: Change }) {
  return (
    <>
      <label class="inline">
        Length
        <select value={session.length} onChange={(event) => change({ length: Number(event.currentTarget.value) })}>
          {LENGTHS.map((tokens) => (
            <option key={tokens} value={tokens}>
              {tokens} tokens
            </option>
          ))}
        </select>
      </label>
      <label class="inline">
        Temperature {session.temperature.toFixed(1)}
        <input
          type="range"
          min="0"
          max="1.5"
          step="0.1"
          value={session.temperature}
          onInput={(event) => change({ temperature: Number(event.currentTarget.value) })}
        />
      </label>
      <Seldom session={session} change={change} />
    </>
  );
}

const isSeed = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= 999_999_999;

/** Settings that most people leave alone. */
function Seldom({ session, change }: { session: PlaySession; change: (part: Partial<PlaySession>) => void }) {
  return (
    <details class="more">
      <summary>Seed and top-p</summary>
      <div class="actions">
        <label class="inline">
          Seed
          <input
            type="number"
            min="0"
            max="999999999"
            step="1"
            value={session.seed}
            onInput={(event) => {
              // At once, because a render in between, for news from the hub, would restore the old value.
              const seed = event.currentTarget.valueAsNumber;
              if (isSeed(seed)) change({ seed });
            }}
            onChange={(event) => {
              if (!isSeed(event.currentTarget.valueAsNumber)) event.currentTarget.value = String(session.seed);
            }}
          />
        </label>
        <label class="inline">
          Top-p {session.top_p.toFixed(2)}
          <input
            type="range"
            min="0.05"
            max="1"
            step="0.05"
            value={session.top_p}
            onInput={(event) => change({ top_p: Number(event.currentTarget.value) })}
          />
        </label>
        <p class="fine">
          The same beginning, settings, seed and model give the same text. Each text takes the next seed. Top-p leaves
          out the unlikeliest tokens.
        </p>
      </div>
    </details>
  );
}

function OpensOffline({ kept }: { kept: boolean }) {
  const opens = useStore(opensOffline);
  if (opens === null) return null;
  return (
    <p class="fine">
      {opens && kept
        ? 'This browser keeps the page and this model: both open without the hub, also after a reload.'
        : 'This browser does not keep the page or the model: they are gone when the tab is closed or reloaded.'}
    </p>
  );
}

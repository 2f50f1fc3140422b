// Who writes in Play: this browser, or a model of the pool behind the hub; two at a time, to compare them; and the key that a pool may ask for.
import { Fragment } from 'preact';
import { useEffect } from 'preact/hooks';
import { KeyForm } from '../pool/key-form.tsx';
import { pool, refreshPool } from '../pool/known-pool.ts';
import type { PoolModel } from '../pool/pool-client.ts';
import { Link } from '../shell/link.tsx';
import { useStore } from '../shell/store.ts';
import { THIS_BROWSER } from './play-messages.ts';
import type { PlaySession } from './session.ts';

interface Props {
  readonly session: PlaySession;
  readonly change: (part: Partial<PlaySession>) => void;
  /** Whether the hub is there. */
  readonly here: boolean;
}

/** Nothing, where the hub has no pool. */
export function WhoWrites({ session, change, here }: Props) {
  const known = useStore(pool);
  useEffect(() => {
    if (here) void refreshPool();
  }, [here]);
  if (!known || known.kind === 'none') return null;
  if (known.kind === 'key-needed') {
    return (
      <details class="more">
        <summary>The pool behind this hub writes for whoever has a key</summary>
        <KeyForm />
      </details>
    );
  }
  const { models } = known;
  if (models.length === 0) return null;
  const chosen = models.find(({ name }) => name === session.writer);
  const talks = chatModelOf(session) !== null;
  return (
    <div class="actions">
      <label class="inline">
        Who writes
        <select
          value={talks ? TALKS + session.writer : session.writer}
          onChange={({ currentTarget: { value } }) =>
            change({ writer: value.replace(TALKS, ''), talks: value.startsWith(TALKS) })
          }
        >
          <Writers models={models} talking />
        </select>
      </label>
      {!talks && (
        <label class="inline">
          Beside it
          <select
            value={session.beside ?? NOBODY}
            onChange={({ currentTarget: { value } }) => change({ beside: value === NOBODY ? null : value })}
          >
            <option value={NOBODY}>nobody</option>
            <Writers models={models} talking={false} />
          </select>
        </label>
      )}
      {session.writer !== THIS_BROWSER && (
        <p class="fine">
          A device of the pool writes this{chosen && ` (${chosen.quantisation})`}: whoever it belongs to can read what
          you ask, and so can a device that checks it. For the same seed and settings the pool and this browser write
          the same text with the same weights. <Link to={{ view: 'pool' }}>Who serves here</Link>
        </p>
      )}
    </div>
  );
}

/** No model has this name: names are not empty, and of one line. */
const NOBODY = '\n';
/** Before the name of a model that is to take part in a conversation; without it the model goes on with texts. */
const TALKS = '\n';

/** @param talking whether conversations are offered beside texts */
function Writers({ models, talking }: { models: readonly PoolModel[]; talking: boolean }) {
  return (
    <>
      <option value={THIS_BROWSER}>this browser</option>
      {models.map(({ name, chat }) => (
        <Fragment key={name}>
          <option value={name}>the pool: {name}</option>
          {talking && chat && <option value={TALKS + name}>the pool: {name}, in conversation</option>}
        </Fragment>
      ))}
    </>
  );
}

/** The model of the pool with which a conversation is chosen; null: texts are, or the model takes part in none any more. */
export const chatModelOf = ({ writer, talks }: Pick<PlaySession, 'writer' | 'talks'>): PoolModel | null => {
  const known = pool.get();
  const models = known?.kind === 'models' ? known.models : [];
  return (talks && models.find(({ name, chat }) => name === writer && chat)) || null;
};

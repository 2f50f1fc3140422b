// Who writes in Play: this browser, or a model of the pool behind the hub; two at a time, to compare them; and the key that a pool may ask for.
import { useEffect } from 'preact/hooks';
import { KeyForm } from '../pool/key-form.tsx';
import { pool, refreshPool } from '../pool/known-pool.ts';
import type { PoolModel } from '../pool/pool-client.ts';
import { Link } from '../shell/link.tsx';
import { useStore } from '../shell/store.ts';
import { THIS_BROWSER, type Writer } from './play-messages.ts';
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
  return (
    <div class="actions">
      <label class="inline">
        Who writes
        <select value={session.writer} onChange={(event) => change({ writer: event.currentTarget.value })}>
          <Writers models={models} />
        </select>
      </label>
      {!chosen?.chat && (
        <label class="inline">
          Beside it
          <select
            value={session.beside ?? NOBODY}
            onChange={({ currentTarget: { value } }) => change({ beside: value === NOBODY ? null : value })}
          >
            <option value={NOBODY}>nobody</option>
            <Writers models={models.filter(({ chat }) => !chat)} />
          </select>
        </label>
      )}
      {session.writer !== THIS_BROWSER && (
        <p class="fine">
          A device of the pool writes this{chosen && ` (${chosen.quantisation})`}: whoever it belongs to can read what
          you ask. For the same seed and settings the pool and this browser write the same text with the same weights.{' '}
          <Link to={{ view: 'pool' }}>Who serves here</Link>
        </p>
      )}
    </div>
  );
}

/** No model has this name: names are not empty, and of one line. */
const NOBODY = '\n';

function Writers({ models }: { models: readonly PoolModel[] }) {
  return (
    <>
      <option value={THIS_BROWSER}>this browser</option>
      {models.map(({ name, chat }) => (
        <option key={name} value={name}>
          the pool: {name}
          {chat && ', in conversation'}
        </option>
      ))}
    </>
  );
}

/** The model of the pool that is chosen, where it takes part in conversations. */
export const chatModelOf = (writer: Writer): PoolModel | null => {
  const known = pool.get();
  const models = known?.kind === 'models' ? known.models : [];
  return models.find(({ name, chat }) => name === writer && chat) ?? null;
};

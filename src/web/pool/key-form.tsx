// The field for an API key of this hub. It stays in memory, unless the person asks this browser to keep it.
import { useState } from 'preact/hooks';
import { useKey } from './known-pool.ts';

/** @param onUsed called when the key is known */
export function KeyForm({ onUsed }: { onUsed?: () => void }) {
  const [key, setKey] = useState('');
  const [keep, setKeep] = useState(false);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void useKey(key.trim(), keep).then(onUsed);
      }}
    >
      <p class="actions">
        <label class="inline">
          API key
          <input type="password" autocomplete="off" value={key} onInput={(e) => setKey(e.currentTarget.value)} />
        </label>
        <button type="submit">Use it</button>
      </p>
      <p>
        <label class="inline">
          <input type="checkbox" checked={keep} onChange={(e) => setKeep(e.currentTarget.checked)} /> Keep it in this
          browser
        </label>
      </p>
      <p class="fine">It is sent to this hub alone, and forgotten with the page unless you keep it.</p>
    </form>
  );
}

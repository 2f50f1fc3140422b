// The field for an API key of this hub.
import { useState } from 'preact/hooks';
import { useKey } from './known-pool.ts';

export function KeyForm() {
  const [key, setKey] = useState('');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void useKey(key.trim());
      }}
    >
      <p class="actions">
        <label class="inline">
          API key
          <input type="password" autocomplete="off" value={key} onInput={(e) => setKey(e.currentTarget.value)} />
        </label>
        <button type="submit">Use it</button>
      </p>
      <p class="fine">It is kept in this browser, and sent to this hub alone.</p>
    </form>
  );
}

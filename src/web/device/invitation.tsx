// What lending this tab means, and the one button that starts it. Nothing that computes is fetched before.
import { useState } from 'preact/hooks';
import { begin } from '../shell/at-work.ts';
import { deviceName, rememberName } from './device-name.ts';

const NAME_CHARACTERS = 40;

export function Invitation(props: { run: string; name: string; finished: boolean; again: boolean }) {
  const [name, setName] = useState(deviceName);
  const [starting, setStarting] = useState(false);
  const [problem, setProblem] = useState('');
  if (props.finished) {
    return (
      <p class="lead">“{props.name}” is finished: there is nothing left to learn. Its model can be played with.</p>
    );
  }
  const start = async (event: Event): Promise<void> => {
    event.preventDefault();
    setStarting(true);
    setProblem('');
    rememberName(name);
    try {
      await begin(props.run, { name: name.trim() || deviceName() });
    } catch {
      setProblem('What computes could not be fetched. The hub may be away, or serve a newer page: reload this one.');
    } finally {
      setStarting(false);
    }
  };
  return (
    <form class="invitation" onSubmit={start}>
      <p class="lead">
        {props.again ? 'This tab has stopped. ' : ''}Lend this tab, and it learns a piece of the text for “{props.name}”
        in every round. It works only while this page is open, stops the moment you say so, and what it has handed in by
        then is yours.
      </p>
      <label>
        Name of this device, as others see it
        <input value={name} maxLength={NAME_CHARACTERS} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <p class="actions">
        <button type="submit" class="primary large" disabled={starting}>
          {starting ? 'Fetching what computes …' : 'Contribute from this tab'}
        </button>
      </p>
      <p class="fine">
        Fetches what computes once (some megabytes, kept by your browser). It can read nothing of yours, and sends only
        what it has learned. Stronger devices: <code>npx potluck join {location.origin}</code>
      </p>
      {problem && (
        <p class="verdict bad" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}

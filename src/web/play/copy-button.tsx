// A button that copies a text.
import { useState } from 'preact/hooks';

export function CopyButton({ text }: { text: string }) {
  const [said, setSaid] = useState('');
  const copy = (): void => {
    Promise.resolve(navigator.clipboard?.writeText(text) ?? Promise.reject(new Error('no clipboard'))).then(
      () => setSaid('Copied'),
      () => setSaid('This browser does not let the page copy: select the text'),
    );
  };
  return (
    <button type="button" onClick={copy}>
      <span role="status">{said || 'Copy'}</span>
    </button>
  );
}

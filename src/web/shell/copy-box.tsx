// A line for a terminal, with a button that copies it.
import { useState } from 'preact/hooks';

export function CopyBox({ text }: { text: string }) {
  const [said, setSaid] = useState('');
  const copy = (): void => {
    // Without a secure connection there is no clipboard.
    const copied = navigator.clipboard?.writeText(text) ?? Promise.reject();
    copied.then(
      () => setSaid('Copied'),
      () => setSaid('Copy it by hand'),
    );
  };
  return (
    <div class="copy-box">
      <pre>{text}</pre>
      <button type="button" onClick={copy} aria-label={`Copy: ${text}`}>
        <span role="status">{said || 'Copy'}</span>
      </button>
    </div>
  );
}

// A run's link to share: as text to copy, and as a QR code for a phone.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { RunOverview } from '../../protocol/messages.ts';
import { nameOf } from '../shell/format.ts';
import { openModal } from '../shell/open-modal.ts';
import { QrCode } from '../shell/qr-code.tsx';

export function ShareDialog({ run, onClose }: { run: Pick<RunOverview, 'run' | 'name'>; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [copied, setCopied] = useState('');
  useEffect(() => openModal(dialog.current!), []);
  const link = `${publicOrigin()}/r/${run.run}`;
  const copy = (): void => {
    // Without a secure connection there is no clipboard; the text is selected instead.
    if (!navigator.clipboard) {
      dialog.current?.querySelector('input')?.select();
      setCopied('The link is selected: copy it with your keyboard.');
      return;
    }
    navigator.clipboard.writeText(link).then(
      () => setCopied('Copied.'),
      () => setCopied('Your browser does not let the page copy: copy the link by hand.'),
    );
  };
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="share-title">
      <h2 id="share-title">Share “{nameOf(run.name)}”</h2>
      <p>Anybody who opens this link can watch, check everything, and lend a device.</p>
      <QrCode text={link} label={`QR code of ${link}`} />
      <p class="actions">
        <input
          readOnly
          value={link}
          aria-label="Link to this run"
          onFocus={({ currentTarget }) => currentTarget.setSelectionRange(0, link.length, 'backward')}
        />
        <button type="button" class="primary" onClick={copy} autofocus>
          Copy
        </button>
      </p>
      <p class="fine" role="status">
        {copied ||
          (isPrivate(link)
            ? 'This address works only on this machine or network; the hub’s operator can name a public one with potluck hub --public URL.'
            : '')}
      </p>
      <p class="actions end">
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </p>
    </dialog>
  );
}

/** The hub's public address, from --public, which the page's card contains. */
function publicOrigin(): string {
  const card = document.querySelector<HTMLMetaElement>('meta[property="og:url"]')?.content;
  return (card && URL.parse(card)?.origin) || location.origin;
}

function isPrivate(link: string): boolean {
  const { hostname } = new URL(link);
  return /^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[::1\])/.test(hostname);
}

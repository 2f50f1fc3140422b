// A QR code whose drawing is fetched when one is first shown: few visitors ever see one.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

interface QrCodeProps {
  readonly text: string;
  readonly label: string;
}

/** `otherwise`: what is said where it cannot be fetched. */
export function QrCodeLater({ otherwise, ...props }: QrCodeProps & { readonly otherwise: string }) {
  const [view, setView] = useState<{ readonly drawn: ComponentType<QrCodeProps> } | 'failed' | null>(null);
  useEffect(() => {
    import('./qr-code.tsx').then(
      ({ QrCode }) => setView({ drawn: QrCode }),
      () => setView('failed'),
    );
  }, []);
  if (view === null) return <p class="note">Loading …</p>;
  if (view === 'failed') return <p class="note">{otherwise}</p>;
  return <view.drawn {...props} />;
}

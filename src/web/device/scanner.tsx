// Reads a QR code with the camera inside the page, so that the words never pass through a camera app that may store or send them.
import { useEffect, useRef, useState } from 'preact/hooks';

const LOOK_MS = 250;

/** The Barcode Detection API, where a browser has it. */
interface Detector {
  detect(source: HTMLVideoElement): Promise<readonly { readonly rawValue: string }[]>;
}
type DetectorClass = new (options: { formats: string[] }) => Detector;
const detectorClass = (): DetectorClass | undefined =>
  (globalThis as { BarcodeDetector?: DetectorClass }).BarcodeDetector;

/** Whether this browser can read QR codes and use its camera; without https it cannot. */
export const canScan = (): boolean => detectorClass() !== undefined && navigator.mediaDevices !== undefined;

export function Scanner({ onRead, onClose }: { onRead: (text: string) => void; onClose: () => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    const closing = new AbortController();
    look(video.current!, closing.signal).then(
      (text) => text !== null && onRead(text),
      (error: unknown) => setProblem(wordsOf(error)),
    );
    return () => closing.abort();
  }, []);
  return (
    <div class="scanner">
      {problem ? (
        <p class="note" role="alert">
          {problem}
        </p>
      ) : (
        <p class="fine">Hold the code of the other device before the camera. The picture does not leave this page.</p>
      )}
      <video ref={video} muted playsInline aria-label="What the camera sees" hidden={problem !== ''} />
      <p class="actions">
        <button type="button" onClick={onClose}>
          Close the camera
        </button>
      </p>
    </div>
  );
}

/** Resolves to the first code that is read; null when it is closed before. The camera is released in both cases. */
async function look(video: HTMLVideoElement, closing: AbortSignal): Promise<string | null> {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  try {
    const detector = new (detectorClass()!)({ formats: ['qr_code'] });
    video.srcObject = stream;
    await video.play();
    while (!closing.aborted) {
      const [code] = await detector.detect(video);
      if (code) return closing.aborted ? null : code.rawValue;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return null;
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  }
}

function wordsOf(error: unknown): string {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError') return 'The browser does not let this page use the camera. Type the words instead.';
  if (name === 'NotFoundError') return 'This device has no camera. Type the words instead.';
  return 'The camera cannot be used now. Type the words instead.';
}

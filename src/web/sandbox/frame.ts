// The page's side of a sandbox: a frame with an opaque origin, whose Worker communicates through one port only.
import insideUrl from './inside.ts?worker&url';

/** The address at which the hub serves it (`hub/game-frame.ts`). */
const FRAME_URL = '/game-frame';

/** The first message through the port: the text of the game's file. */
export interface ToSandbox {
  readonly text: string;
}

export interface Sandbox {
  /** Removes the frame and ends its Worker, whatever the game does. */
  end(): void;
}

/** Opens a sandbox whose Worker communicates through the other end of `port`. */
export function openSandbox(port: MessagePort): Sandbox {
  const frame = document.createElement('iframe');
  frame.setAttribute('sandbox', 'allow-scripts'); // without allow-same-origin its origin is opaque
  frame.setAttribute('aria-hidden', 'true');
  frame.tabIndex = -1;
  frame.hidden = true;
  frame.src = FRAME_URL;
  const text = fetch(insideUrl).then((response) => response.text());
  frame.addEventListener(
    'load',
    () => {
      text.then(
        // An opaque origin cannot be named as a target; the message is public, except for the port.
        (inside) => frame.contentWindow?.postMessage(inside, '*', [port]),
        () => port.close(),
      );
    },
    { once: true },
  );
  document.body.append(frame);
  return {
    end() {
      port.close();
      frame.remove();
    },
  };
}

// The page's side of a sandbox: a frame without origin, whose Worker speaks through a port and through nothing else.
import insideUrl from './inside.ts?worker&url';

/** As the hub serves it (`hub/game-frame.ts`). */
const FRAME_URL = '/game-frame';

/** What goes through the port first: the text of the game's file. */
export interface ToSandbox {
  readonly text: string;
}

export interface Sandbox {
  /** Whatever the game does: its frame goes, and its Worker with it. */
  end(): void;
}

/** Opens a sandbox whose Worker speaks through the other end of `port`. */
export function openSandbox(port: MessagePort): Sandbox {
  const frame = document.createElement('iframe');
  frame.setAttribute('sandbox', 'allow-scripts'); // and not allow-same-origin: its origin is nobody's
  frame.setAttribute('aria-hidden', 'true');
  frame.tabIndex = -1;
  frame.hidden = true;
  frame.src = FRAME_URL;
  const text = fetch(insideUrl).then((response) => response.text());
  frame.addEventListener(
    'load',
    () => {
      text.then(
        // Its origin has no name that could be written here; what is sent is public, but for the port.
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

// A way from the tab's Worker to a game in a sandbox, which only the page can open: it is asked for a frame, and told when that may go.
import type { GamePort } from '../../games/host/wire.ts';

/** Asks the page to open a sandbox at the other end of `port`. @returns what ends it */
export type AskPage = (port: MessagePort) => () => void;

/** A way to a new sandbox with the game whose text is given. */
export function sandboxWith(text: string, askPage: AskPage): GamePort {
  const { port1: port, port2: theirs } = new MessageChannel();
  const endFrame = askPage(theirs);
  port.postMessage({ text });
  return {
    post: (message) => port.postMessage(message),
    open(onMessage, onEnd) {
      port.onmessage = ({ data }) => onMessage(data);
      port.onmessageerror = () => onEnd('said something that cannot be read');
    },
    hold: () => {},
    end() {
      port.close();
      endFrame();
    },
  };
}

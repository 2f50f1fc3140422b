// Connects the tab's Worker to a game in a sandbox. Only the page can open one, so the Worker asks it for a frame, and tells it when to remove it.
import type { GamePort } from '../../games/host/wire.ts';

/** Asks the page to open a sandbox at the other end of `port`. @returns a function that ends it */
export type AskPage = (port: MessagePort) => () => void;

/** A connection to a new sandbox with the game of the given text. */
export function sandboxWith(text: string, askPage: AskPage): GamePort {
  const { port1: port, port2: theirs } = new MessageChannel();
  const endFrame = askPage(theirs);
  port.postMessage({ text });
  return {
    post: (message) => port.postMessage(message),
    open(onMessage, onEnd) {
      port.onmessage = ({ data }) => onMessage(data);
      port.onmessageerror = () => onEnd('sent a message that cannot be decoded');
    },
    hold: () => {},
    end() {
      port.close();
      endFrame();
    },
  };
}

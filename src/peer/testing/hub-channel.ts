// A hub's end of a peer's connection for tests of sessions: it welcomes everybody, and answers events as the test says.
import type { Channel, ChannelListener } from '../../protocol/channel.ts';
import { encodeMessage } from '../../protocol/encode-message.ts';
import type { FromHub } from '../../protocol/from-hub.ts';
import { decodeFromPeer } from '../../protocol/from-peer.ts';
import { PROTOCOL_VERSION } from '../../protocol/messages.ts';

/** @param onEvent gets each signed event, and a function that sends a message to the peer */
export function hubChannel(
  hub: string,
  onEvent: (event: Uint8Array, say: (message: FromHub) => void) => void,
): Channel {
  let listener: ChannelListener;
  const state = { open: true };
  const say = (message: FromHub): void => {
    if (state.open) queueMicrotask(() => listener.onMessage(encodeMessage(message)));
  };
  const end = (): void => {
    if (state.open) queueMicrotask(() => listener.onClose(''));
    state.open = false;
  };
  return {
    get open() {
      return state.open;
    },
    get closed() {
      return !state.open;
    },
    queued_bytes: 0,
    listen(given) {
      listener = given;
      say({ type: 'challenge', protocol: PROTOCOL_VERSION, hub, nonce: new Uint8Array(32) });
    },
    send(frame) {
      const message = decodeFromPeer(frame);
      if (message.type === 'hello') say({ type: 'welcome', present: false, session: 0 });
      const events = message.type === 'events' ? message.events : message.type === 'event' ? [message] : [];
      for (const { event } of events) onEvent(event, say);
    },
    ping() {},
    close: end,
    terminate: end,
  };
}

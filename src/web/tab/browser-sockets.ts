// The browser's WebSocket as a peer's channel.
import type { Transport } from '../../peer/connection.ts';
import { answersHttp } from '../../peer/find-run.ts';
import type { Channel, ChannelListener } from '../../protocol/channel.ts';
import { systemClock } from '../../protocol/clock.ts';
import { WIRE_LIMITS } from '../../protocol/messages.ts';

/** WebSockets to the hub at an address. Browsers answer the hub's pings silently, so the peer itself asks. */
export function browserSockets(url: string): Transport {
  const target = `${url.replace(/^http/, 'ws')}/ws`;
  return {
    dial: () => browserChannel(target),
    clock: systemClock,
    random: Math.random,
    answersHttp: () => answersHttp(url),
    asks: true,
  };
}

function browserChannel(target: string): Channel {
  const socket = new WebSocket(target);
  socket.binaryType = 'arraybuffer';
  let listener: ChannelListener | null = null;
  let closed = false;

  const onClose = (reason: string): void => {
    if (closed) return;
    closed = true;
    listener?.onClose(reason);
  };
  const terminate = (): void => {
    // A browser cannot end a connection at once: it goes on closing, with no listener any more.
    socket.close();
    queueMicrotask(() => onClose('cut off'));
  };
  return {
    get open() {
      return !closed && socket.readyState === WebSocket.OPEN;
    },
    get closed() {
      return closed;
    },
    get queued_bytes() {
      return socket.bufferedAmount;
    },
    listen(given) {
      listener = given;
      socket.onopen = () => !closed && given.onOpen?.();
      socket.onerror = () => !closed && given.onError(); // the event 'close' follows
      socket.onclose = ({ reason }) => onClose(reason);
      socket.onmessage = ({ data }: MessageEvent<unknown>) => {
        if (closed) return;
        if (!(data instanceof ArrayBuffer)) given.onMessage(null);
        else if (data.byteLength > WIRE_LIMITS.message_bytes) terminate();
        else given.onMessage(new Uint8Array(data));
      };
    },
    send(frame) {
      if (!closed && socket.readyState === WebSocket.OPEN) socket.send(frame as Uint8Array<ArrayBuffer>);
    },
    ping() {}, // the peer's own question takes its place
    close: (_code, reason) => socket.close(1000, reason), // a browser may only send the code for "normal"
    terminate,
  };
}

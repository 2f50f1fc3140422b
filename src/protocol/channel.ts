// What hub and peers need of a WebSocket, and no more: `ws` implements it in production, the simulator has an implementation of its own.
import type { RawData, WebSocket } from 'ws';

/** The owner of a channel must set its one listener at once, before the first call. */
export interface ChannelListener {
  /** The channel is open. Called only at the end that asked for it. */
  onOpen?(): void;
  /** A frame came; null stands for a text frame, which Potluck does not use. */
  onMessage(frame: Uint8Array | null): void;
  /** A ping or a pong came: the other end is alive. */
  onAlive(): void;
  /** Something came that is not a valid frame; the channel is closing. */
  onError(): void;
  /** The channel is closed; no call follows. `reason` may be empty. */
  onClose(reason: string): void;
}

/** Frames arrive whole, once and in order until the channel breaks. After a break nobody knows how many of the last frames arrived. */
export interface Channel {
  readonly open: boolean;
  /** Whether `onClose` has been called. */
  readonly closed: boolean;
  /** Bytes that were sent and have not left this machine yet. */
  readonly queued_bytes: number;
  listen(listener: ChannelListener): void;
  /** Without effect unless the channel is open. */
  send(frame: Uint8Array): void;
  ping(): void;
  /** Asks the other end to close as well. RFC 6455, section 7.4, has the meaning of the codes. */
  close(code?: number, reason?: string): void;
  /** Stops reading, where reading costs something: for a peer that was sent away and does not stop sending. */
  deafen?(): void;
  /** Ends the connection at once, without a closing handshake. */
  terminate(): void;
}

/** A `ws` socket as a channel. */
export function webSocketChannel(socket: WebSocket): Channel {
  return {
    get open() {
      return socket.readyState === socket.OPEN;
    },
    get closed() {
      return socket.readyState === socket.CLOSED;
    },
    get queued_bytes() {
      return socket.bufferedAmount;
    },
    listen(listener) {
      let why = '';
      socket.on('open', () => listener.onOpen?.());
      socket.on('message', (data: RawData, isBinary: boolean) => listener.onMessage(isBinary ? toBytes(data) : null));
      socket.on('ping', () => listener.onAlive());
      socket.on('pong', () => listener.onAlive());
      socket.on('error', (error: NodeJS.ErrnoException) => {
        why = error.message || String(error.code ?? '');
        listener.onError(); // the event 'close' follows
      });
      socket.on('close', (_code, reason) => listener.onClose(reason.toString() || why));
    },
    send(frame) {
      if (socket.readyState === socket.OPEN) socket.send(frame);
    },
    ping: () => socket.ping(),
    close: (code, reason) => socket.close(code, reason),
    deafen: () => socket.pause(),
    terminate: () => socket.terminate(),
  };
}

function toBytes(data: RawData): Uint8Array {
  if (Array.isArray(data)) return new Uint8Array(Buffer.concat(data));
  return new Uint8Array(data as Buffer);
}

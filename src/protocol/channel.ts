// What hub and peers need of a WebSocket, and no more: real ones in use, simulated ones in the simulator.
import type { RawData, WebSocket } from 'ws';

/** Whoever has a channel gives it one listener, at once. */
export interface ChannelListener {
  /** Only at the end that asked for the channel. */
  onOpen?(): void;
  /** null: a text frame, which nobody here understands. */
  onMessage(frame: Uint8Array | null): void;
  /** A ping or the answer to one: somebody is there. */
  onAlive(): void;
  /** Something came that is no frame; the close is under way. */
  onError(): void;
  /** The last call. `reason` may be empty. */
  onClose(reason: string): void;
}

/** Frames arrive whole, once and in their order, until the channel breaks; then nobody knows how many of the last ones did. */
export interface Channel {
  readonly open: boolean;
  /** Whether the last call to the listener was made. */
  readonly closed: boolean;
  /** What was sent and has not left this machine. */
  readonly queued_bytes: number;
  listen(listener: ChannelListener): void;
  /** Without effect unless the channel is open. */
  send(frame: Uint8Array): void;
  ping(): void;
  /** Asks the other end to close as well. RFC 6455, section 7.4: what the codes mean. */
  close(code?: number, reason?: string): void;
  /** Reads nothing more, where reading costs something: for who is told to go and does not stop talking. */
  deafen?(): void;
  /** Gone at once, without asking. */
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
        listener.onError(); // 'close' follows
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

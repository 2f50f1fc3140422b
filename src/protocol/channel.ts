// What hub and peers need of a WebSocket, and no more: `ws` implements it in production, the simulator has an implementation of its own.
import type { Duplex } from 'node:stream';
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
  /** Sends what is sent meanwhile in one piece, where each piece costs something. */
  together?(work: () => void): void;
  ping(): void;
  /** Asks the other end to close as well. RFC 6455, section 7.4, has the meaning of the codes. */
  close(code?: number, reason?: string): void;
  /** Stops reading, where reading costs something: for a peer that was sent away and does not stop sending. */
  deafen?(): void;
  /** Ends the connection at once, without a closing handshake. */
  terminate(): void;
}

/**
 * A `ws` socket as a channel.
 * @param below what carries it, where that is known
 */
export function webSocketChannel(socket: WebSocket, below?: Pick<Duplex, 'cork' | 'uncork'>): Channel {
  return below ? new CorkedChannel(socket, below) : new SocketChannel(socket);
}

/** A class, because a hub has thousands: an object with functions of its own takes some 1,400 bytes. */
class SocketChannel implements Channel {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  get open(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  get closed(): boolean {
    return this.#socket.readyState === this.#socket.CLOSED;
  }

  get queued_bytes(): number {
    return this.#socket.bufferedAmount;
  }

  listen(listener: ChannelListener): void {
    const socket = this.#socket;
    let why = '';
    const onAlive = (): void => listener.onAlive();
    if (listener.onOpen) socket.on('open', () => listener.onOpen!());
    socket.on('message', (data: RawData, isBinary: boolean) => listener.onMessage(isBinary ? toBytes(data) : null));
    socket.on('ping', onAlive);
    socket.on('pong', onAlive);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      why = error.message || String(error.code ?? '');
      listener.onError(); // the event 'close' follows
    });
    socket.on('close', (_code, reason) => listener.onClose(reason.toString() || why));
  }

  send(frame: Uint8Array): void {
    if (this.open) this.#socket.send(frame);
  }

  ping(): void {
    this.#socket.ping();
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  deafen(): void {
    this.#socket.pause();
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

/** A channel whose frames can leave in one piece. */
class CorkedChannel extends SocketChannel {
  readonly #below: Pick<Duplex, 'cork' | 'uncork'>;

  constructor(socket: WebSocket, below: Pick<Duplex, 'cork' | 'uncork'>) {
    super(socket);
    this.#below = below;
  }

  together(work: () => void): void {
    inOnePiece(this.#below, work);
  }
}

/** What is written meanwhile leaves in one call of the system. */
export function inOnePiece(socket: Pick<Duplex, 'cork' | 'uncork'>, work: () => void): void {
  socket.cork();
  try {
    work();
  } finally {
    socket.uncork();
  }
}

function toBytes(data: RawData): Uint8Array {
  if (Array.isArray(data)) return new Uint8Array(Buffer.concat(data));
  return new Uint8Array(data as Buffer);
}

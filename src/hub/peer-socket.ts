// A WebSocket that sends the reason before it closes: ws itself ends the connection at an invalid frame without one.
import { WebSocket } from 'ws';
import { encodeMessage } from '../protocol/encode-message.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';

/** RFC 6455, section 7.4.1: 1009 means "message too big"; the codes beside it mean an invalid frame. */
const TOO_BIG = 1009;
const NOT_A_FRAME = [1002, 1006, 1007];

/** Pass this class to a WebSocketServer. */
export class PeerSocket extends WebSocket {
  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === WebSocket.OPEN && reason === undefined && code !== undefined) {
      if (code === TOO_BIG) {
        this.#tell('too-large', `message: at most ${WIRE_LIMITS.from_peer_bytes} bytes, got more`);
      } else if (NOT_A_FRAME.includes(code)) {
        this.#tell('malformed', 'expected WebSocket frames (RFC 6455), got something else');
      }
    }
    super.close(code, reason);
  }

  #tell(code: string, message: string): void {
    this.send(encodeMessage({ type: 'refused', event: null, code, message }));
  }
}

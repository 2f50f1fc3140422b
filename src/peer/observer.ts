// Somebody who only watches: the hub's status as it changes, without a key, coming back by itself when the hub was away.
import WebSocket from 'ws';
import { decodeFromHub, encodeMessage, PROTOCOL_VERSION, type RunStatus, WIRE_LIMITS } from '../protocol/messages.ts';

const RETRY_MS = 500;

export interface Observer {
  close(): void;
}

/** Calls `onStatus` with all runs of a hub, at once and after every change; `onAway` when the hub does not answer. */
export function observeHub(
  url: string,
  onStatus: (runs: readonly RunStatus[]) => void,
  onAway: () => void = () => {},
): Observer {
  let socket: WebSocket;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;
  const open = (): void => {
    socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, { maxPayload: WIRE_LIMITS.message_bytes });
    socket.on('message', (data, isBinary) => {
      if (!isBinary) return;
      const message = decodeFromHub(new Uint8Array(data as Buffer));
      if (message.type === 'challenge') {
        socket.send(encodeMessage({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer' }));
      }
      if (message.type === 'status') onStatus(message.runs);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (closed) return;
      onAway();
      retry = setTimeout(open, RETRY_MS);
    });
  };
  open();
  return {
    close() {
      closed = true;
      clearTimeout(retry);
      socket.close();
    },
  };
}

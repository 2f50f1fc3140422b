// An observer without a key: follows the hub's status as it changes, and reconnects after a failure.
import WebSocket from 'ws';
import { encodeMessage } from '../protocol/encode-message.ts';
import { orNull } from '../protocol/errors.ts';
import { decodeFromHub } from '../protocol/from-hub.ts';
import {
  type Changes,
  type PeerView,
  PROTOCOL_VERSION,
  type RunOverview,
  type RunStatus,
  WIRE_LIMITS,
} from '../protocol/messages.ts';

const RETRY_MS = 500;
/** How long the hub may take to answer the goodbye, so that it cannot hold up the end of a program. */
const GOODBYE_MS = 1000;

export interface HubObserver {
  close(): void;
}

/**
 * Calls `onStatus` with all runs of a hub, at once and after every change; of more than a thousand peers some come with the calls after the first.
 * `onAway` when the hub does not answer.
 */
export function observeHub(
  url: string,
  onStatus: (runs: readonly RunStatus[]) => void,
  onAway: () => void = () => {},
): HubObserver {
  let socket: WebSocket;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;
  const followed = followChanges();
  const open = (): void => {
    socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, { maxPayload: WIRE_LIMITS.message_bytes });
    socket.on('message', (data, isBinary) => {
      if (!isBinary) return;
      const message = orNull(() => decodeFromHub(new Uint8Array(data as Buffer)));
      if (!message) {
        socket.terminate(); // a hub that sends invalid messages is treated as unreachable
        return;
      }
      if (message.type === 'challenge') {
        socket.send(encodeMessage({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer', changes: true }));
      }
      if (message.type === 'changes') onStatus(followed(message));
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
      setTimeout(() => socket.terminate(), GOODBYE_MS).unref();
    },
  };
}

/** Puts together what a hub tells of its runs: each call gives all of it after one more message. */
export function followChanges(): (changes: Changes) => RunStatus[] {
  const overviews = new Map<string, RunOverview>();
  const peersOf = new Map<string, Map<string, PeerView>>();
  return ({ whole, runs, peers }) => {
    if (whole) for (const all of [overviews, peersOf]) all.clear();
    for (const overview of runs) overviews.set(overview.run, overview);
    for (const { run, peers: changed } of peers) {
      const known = peersOf.get(run) ?? new Map<string, PeerView>();
      peersOf.set(run, known);
      for (const peer of changed) known.set(peer.id, peer);
    }
    return [...overviews.values()].map((overview) => ({
      ...overview,
      peers: [...(peersOf.get(overview.run)?.values() ?? [])],
    }));
  };
}

// What devices say about their work, for people: it is in no log, so the process that hears it tells the others, each device's last word only.
import type { Clock, Timer } from '../../protocol/clock.ts';
import { encodeMessage } from '../../protocol/encode-message.ts';
import { decodeFromPeer, type FromPeer } from '../../protocol/from-peer.ts';
import type { Bus } from './bus.ts';
import { decodeBusMessage, encodeBusMessage, type Subjects } from './subjects.ts';

/** People do not read faster, and ten thousand devices that report every second are ten messages. */
const GATHER_MS = 1000;
/** Some 300 bytes each; a sample of text has a few thousand. */
const MOST_BYTES = 512 << 10;

/** What is passed on. */
export type Said = Extract<FromPeer, { type: 'progress' | 'sample' }>;

export interface Talk {
  /** A device of this process has said something. */
  said(run: string, peer: string, message: Said): void;
  /** Gets what devices of other processes have said. */
  listen(hear: (run: string, peer: string, message: Said) => void): void;
  close(): void;
}

/** For a hub that is one process. */
export const NO_TALK: Talk = { said() {}, listen() {}, close() {} };

export function openTalk(options: {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly instance: string;
  onError(error: unknown): void;
}): Talk {
  const { bus, subjects, clock, instance, onError } = options;
  const waiting = new Map<string, { run: string; peer: string; message: Uint8Array }>();
  let hear: Parameters<Talk['listen']>[0] = () => {};
  let timer: Timer;

  const send = (): void => {
    timer = undefined;
    const all = [...waiting.values()];
    waiting.clear();
    let [from, bytes] = [0, 0];
    for (const [i, { message }] of all.entries()) {
      bytes += message.length;
      if (bytes < MOST_BYTES && i < all.length - 1) continue;
      bus.publish(subjects.talk, encodeBusMessage('talk', { instance, said: all.slice(from, i + 1) }));
      [from, bytes] = [i + 1, 0];
    }
  };
  const subscription = bus.subscribe(subjects.talk, (bytes) => {
    try {
      const { instance: from, said } = decodeBusMessage('talk', bytes);
      if (from === instance) return;
      for (const { run, peer, message } of said) {
        const word = decodeFromPeer(message);
        if (word.type === 'progress' || word.type === 'sample') hear(run, peer, word);
      }
    } catch (error) {
      onError(error);
    }
  });
  return {
    said(run, peer, message) {
      waiting.set(`${message.type} ${run}:${peer}`, { run, peer, message: encodeMessage(message) });
      timer ??= clock.setTimeout(send, GATHER_MS);
    },
    listen(to) {
      hear = to;
    },
    close() {
      clock.clearTimeout(timer);
      subscription.close();
    },
  };
}

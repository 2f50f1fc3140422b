// The page's one WebSocket: an observer that follows the hub, keeps what it was told, and comes back by itself when the hub was away.

import { encodeMessage } from '../../protocol/encode-message.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import type { FromPeer } from '../../protocol/from-peer.ts';
import {
  type Changes,
  decodeForObserver,
  type PeerView,
  PROTOCOL_VERSION,
  type RunOverview,
  type SampleView,
  type Series,
} from '../../protocol/messages.ts';
import { noteSpeeds, type Speed } from './speeds.ts';
import { createStore, type Store } from './store.ts';

const LIMITS = {
  first_wait_ms: 300, // a hub that is started again is back within a second or two
  longest_wait_ms: 5000,
  ping_every_ms: 10_000,
  silence_ms: 25_000, // two pings and the way
  samples: 8, // of a run: enough to see how it learns
  points: 4096, // of a curve; the hub sends at most a quarter of it at first
} as const;

export interface Point {
  readonly merged_rounds: number;
  readonly time_ms: number;
  readonly amount: number;
  readonly bytes: number;
  /** By the run's first metric, in its unit. */
  readonly value: number | null;
}

/** A run as far as the page has been told of it. The maps and lists grow in place; `Live.version` says that they have. */
export interface LiveRun {
  readonly overview: RunOverview;
  /** performance.now() when the overview came: what is left of a round runs from here. */
  readonly heard_ms: number;
  readonly peers: Map<string, PeerView>;
  /** What devices that are here were measured at, by id. */
  readonly speeds: Map<string, Speed>;
  readonly evaluations: Point[];
  readonly rounds: Point[];
  /** What its models have written since the page was opened, newest last. */
  readonly samples: readonly SampleView[];
  /** The speed while somebody works, held while nobody does. */
  readonly amount_per_second: number;
}

export interface Live {
  readonly connection: 'connecting' | 'live' | 'away' | 'refused';
  /** performance.now() of the last change of `connection`. */
  readonly since_ms: number;
  readonly reason: string;
  readonly hub: string | null;
  readonly events: number;
  /** The hub's clock minus this machine's. */
  readonly clock_offset_ms: number;
  readonly runs: ReadonlyMap<string, LiveRun>;
  readonly version: number;
}

export interface LiveLink {
  readonly store: Store<Live>;
  /** Tries again now instead of when its time has come. */
  retry(): void;
  close(): void;
}

/** Follows the hub at a ws: address. */
export function openLive(address: string): LiveLink {
  const store = createStore<Live>({
    connection: 'connecting',
    since_ms: performance.now(),
    reason: '',
    hub: null,
    events: 0,
    clock_offset_ms: 0,
    runs: new Map(),
    version: 0,
  });
  let socket: WebSocket | null = null;
  let wait_ms: number = LIMITS.first_wait_ms;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let closed = false;

  const change = (part: Partial<Live>): void => {
    const before = store.get();
    const since_ms = part.connection && part.connection !== before.connection ? performance.now() : before.since_ms;
    store.set({ ...before, since_ms, ...part, version: before.version + 1 });
  };
  const send = (message: FromPeer): void => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(encodeMessage(message) as Uint8Array<ArrayBuffer>);
  };
  const waitAgain = (): void => {
    clearTimeout(silence);
    silence = setTimeout(() => away('it has gone silent'), LIMITS.silence_ms);
  };
  const away = (reason: string): void => {
    clearTimeout(silence);
    clearTimeout(retryTimer);
    const last = socket;
    socket = null;
    last?.close();
    if (closed) return;
    change({ connection: 'away', reason });
    retryTimer = setTimeout(open, wait_ms * (0.5 + Math.random()));
    wait_ms = Math.min(LIMITS.longest_wait_ms, wait_ms * 2);
  };

  const onFrame = (frame: Uint8Array): void => {
    const message = decodeForObserver(frame);
    if (message.type === 'challenge') {
      // Another hub at the same address: nothing of the one before is this one's.
      if (store.get().hub !== null && store.get().hub !== message.hub) change({ runs: new Map(), events: 0 });
      change({ hub: message.hub });
      send({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer', changes: true });
    } else if (message.type === 'changes') {
      wait_ms = LIMITS.first_wait_ms;
      change({ connection: 'live', reason: '', ...merged(store.get(), message) });
    } else if (message.type === 'refused') {
      closed = message.code === 'unknown-version' || message.code === 'not-understood';
      if (closed) change({ connection: 'refused', reason: message.message });
    }
  };

  const open = (): void => {
    const current = new WebSocket(address);
    current.binaryType = 'arraybuffer';
    socket = current;
    waitAgain();
    current.onmessage = ({ data }) => {
      if (socket !== current) return;
      waitAgain();
      try {
        if (!(data instanceof ArrayBuffer)) throw new ProtocolError('malformed', 'expected a binary frame');
        onFrame(new Uint8Array(data));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        away('it said something that this page does not understand');
      }
    };
    current.onclose = () => {
      if (socket === current) away('nobody answers');
    };
  };
  const pings = setInterval(() => send({ type: 'ping' }), LIMITS.ping_every_ms);
  open();

  return {
    store,
    retry() {
      if (store.get().connection !== 'away') return;
      clearTimeout(retryTimer);
      wait_ms = LIMITS.first_wait_ms;
      open();
    },
    close() {
      closed = true;
      clearInterval(pings);
      away('');
    },
  };
}

/** What is known after a message of changes. */
function merged(before: Live, changes: Changes): Partial<Live> {
  const now_ms = performance.now();
  const runs = new Map(changes.whole ? [] : before.runs);
  for (const overview of changes.runs) {
    const known = runs.get(overview.run);
    runs.set(overview.run, {
      peers: known?.peers ?? new Map(),
      speeds: known?.speeds ?? new Map(),
      evaluations: known?.evaluations ?? [],
      rounds: known?.rounds ?? [],
      samples: known?.samples ?? [],
      overview,
      heard_ms: now_ms,
      amount_per_second: overview.amount_per_second > 0 ? overview.amount_per_second : (known?.amount_per_second ?? 0),
    });
  }
  for (const { run, peers } of changes.peers) {
    const known = runs.get(run);
    if (!known) continue;
    for (const peer of peers) known.peers.set(peer.id, peer);
    noteSpeeds(known.speeds, peers, now_ms);
  }
  for (const { run, evaluations, rounds } of changes.history) {
    const known = runs.get(run);
    if (!known) continue;
    append(known.evaluations, evaluations);
    append(known.rounds, rounds);
  }
  for (const sample of changes.samples) {
    const known = runs.get(sample.run);
    // One that was told with everything may come once more as news.
    if (!known || known.samples.some(({ model }) => model === sample.model)) continue;
    runs.set(sample.run, { ...known, samples: [...known.samples.slice(1 - LIMITS.samples), sample] });
  }
  return { runs, events: changes.events, clock_offset_ms: changes.now_ms - Date.now() };
}

/** Adds points to a curve. One of a round that is there already takes its place. */
function append(curve: Point[], series: Series): void {
  series.merged_rounds.forEach((merged_rounds, i) => {
    while (curve.length > 0 && curve.at(-1)!.merged_rounds >= merged_rounds) curve.pop();
    const [time_ms, amount, bytes] = [series.time_ms[i] ?? 0, series.amount[i] ?? 0, series.bytes[i] ?? 0];
    curve.push({ merged_rounds, time_ms, amount, bytes, value: series.value[i] ?? null });
  });
  if (curve.length <= LIMITS.points) return;
  const kept = curve.filter((_, i) => i % 2 === 0 || i === curve.length - 1);
  curve.splice(0, curve.length, ...kept);
}

/** What every view gets. */
export interface ViewProps {
  readonly live: Live;
  readonly link: LiveLink;
}

// What observers get that follow a hub: everything once, in pieces, and then only changes.
import type { Changes, PeerView, RunStatus } from '../protocol/messages.ts';
import type { Histories } from './history.ts';
import type { Samples } from './samples.ts';
import type { Statuses } from './statuses.ts';

/** Some 300 bytes each, so that a message of so many stays far below the limit of the wire. */
const PEERS_A_MESSAGE = 1000;

export interface Feed {
  /**
   * For an observer that has just come; the same array is used for those that come soon after. What it contains may also be in the next
   * changes, with the same values.
   */
  snapshot(): Changes[];
  /** What changed since the last call, for all observers. */
  changes(): Changes[];
}

export interface FeedSource {
  readonly statuses: Statuses;
  readonly histories: Histories;
  readonly samples: Samples;
  readonly now_ms: () => number;
  /** The number of events in the log. */
  readonly events: () => number;
}

export function openFeed(source: FeedSource): Feed {
  /** Each peer as it was sent last, by run. */
  const lastSent = new Map<string, Map<string, PeerView>>();

  const changedPeers = ({ run, peers }: RunStatus): PeerView[] => {
    const before = lastSent.get(run) ?? new Map<string, PeerView>();
    lastSent.set(run, before);
    const changed = peers.filter((peer) => !sameView(before.get(peer.id), peer));
    for (const peer of changed) before.set(peer.id, peer);
    if (before.size > peers.length) {
      // The log's state has forgotten a peer.
      const known = new Set(peers.map(({ id }) => id));
      for (const id of before.keys()) if (!known.has(id)) before.delete(id);
    }
    return changed;
  };

  const messages = (
    statuses: readonly RunStatus[],
    peersOf: (status: RunStatus) => readonly PeerView[],
    history: Changes['history'],
    samples: Changes['samples'],
    whole: boolean,
  ): Changes[] => {
    const first: Changes = {
      type: 'changes',
      whole,
      now_ms: source.now_ms(),
      events: source.events(),
      runs: statuses.map(({ peers: _, ...overview }) => overview),
      history,
      samples,
      peers: [],
    };
    const pieces = statuses.flatMap((status) => {
      const peers = peersOf(status);
      const count = Math.ceil(peers.length / PEERS_A_MESSAGE);
      return Array.from({ length: count }, (_, i) => ({
        run: status.run,
        peers: peers.slice(i * PEERS_A_MESSAGE, (i + 1) * PEERS_A_MESSAGE),
      }));
    });
    const rest = { ...first, whole: false, runs: [], history: [], samples: [] };
    const packed = pack(pieces);
    return [{ ...first, peers: packed[0] ?? [] }, ...packed.slice(1).map((peers) => ({ ...rest, peers }))];
  };

  let last: { readonly of: readonly RunStatus[]; readonly snapshot: Changes[] } | undefined;
  return {
    snapshot() {
      const statuses = source.statuses.recent();
      if (last?.of === statuses) return last.snapshot;
      // A new observer must also get a peer that has changed back to what the others were sent last.
      for (const { run, peers } of statuses) {
        const before = lastSent.get(run);
        for (const peer of peers) if (!sameView(before?.get(peer.id), peer)) before?.delete(peer.id);
      }
      const history = statuses.map(({ run }) => source.histories.of(run));
      last = { of: statuses, snapshot: messages(statuses, ({ peers }) => peers, history, source.samples.all(), true) };
      return last.snapshot;
    },
    changes() {
      last = undefined;
      const statuses = source.statuses.fresh();
      return messages(statuses, changedPeers, source.histories.takeFresh(), source.samples.takeFresh(), false);
    },
  };
}

type Piece = Changes['peers'][number];

/** Packs pieces into messages as long as they fit. */
function pack(pieces: readonly Piece[]): Piece[][] {
  const packed: Piece[][] = [];
  let room = 0;
  for (const piece of pieces) {
    if (piece.peers.length > room) {
      packed.push([]);
      room = PEERS_A_MESSAGE;
    }
    packed.at(-1)!.push(piece);
    room -= piece.peers.length;
  }
  return packed;
}

function sameView(a: PeerView | undefined, b: PeerView): boolean {
  if (!a) return false;
  for (const field in b) {
    const key = field as keyof PeerView;
    if (key !== 'progress' && a[key] !== b[key]) return false;
  }
  if (!a.progress || !b.progress) return a.progress === b.progress;
  for (const field in b.progress) {
    const key = field as keyof typeof b.progress;
    if (key !== 'obstacle' && a.progress[key] !== b.progress[key]) return false;
  }
  return a.progress.obstacle?.message === b.progress.obstacle?.message;
}

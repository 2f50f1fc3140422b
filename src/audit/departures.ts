// Peers that the hub has reported as gone. Such a peer earns nothing, and only the hub knows its connections, so it could lie about them.
import type { LoggedEvent } from '../core/events.ts';
import type { NetworkState } from '../core/state.ts';

/** A peer that comes back this soon, by the log's time, was hardly gone: one that notices it was dropped comes back within seconds. */
const SOON_MS = 30_000;

export interface DepartureReport {
  /** How often the hub reported a lost connection, and of how many peers. */
  readonly said: number;
  readonly peers: number;
  /** How often such a peer was back within `soon_ms`. */
  readonly soon_back: number;
  readonly soon_ms: number;
}

export class DepartureCheck {
  readonly #gone_ms = new Map<string, number>();
  readonly #peers = new Set<string>();
  #said = 0;
  #soon_back = 0;

  /** Takes an event and the state after it. */
  after({ author, body }: LoggedEvent, state: NetworkState): void {
    if (body.type === 'peer.joined') {
      const key = `${body.run} ${author}`;
      const gone_ms = this.#gone_ms.get(key);
      this.#gone_ms.delete(key);
      if (gone_ms !== undefined && state.time_ms - gone_ms <= SOON_MS) this.#soon_back++;
    }
    if (body.type !== 'peer.left' || author !== state.hub || body.reason !== 'connection lost') return;
    this.#said++;
    this.#peers.add(body.peer);
    // Between rounds the log's clock stands still, so how long a peer was away is not known then.
    const ticking = ['working', 'judging', 'revealing'].includes(state.runs.get(body.run)?.phase ?? '');
    if (ticking) this.#gone_ms.set(`${body.run} ${body.peer}`, state.time_ms);
  }

  get report(): DepartureReport {
    return { said: this.#said, peers: this.#peers.size, soon_back: this.#soon_back, soon_ms: SOON_MS };
  }
}

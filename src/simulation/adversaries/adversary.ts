// What an adversary is: a way to play somebody else's game for pay without the work, as a wrapper around the game.
import type { PeerRole } from '../../core/events/peer-joined.ts';
import type { AnyGame, Claim } from '../../games/game.ts';
import type { Random } from '../../protocol/random.ts';

/** What a dishonest device can know and use. Nothing here is more than the public log and its own conspiracy give it. */
export interface AdversaryContext {
  readonly role: PeerRole;
  /** Its id. */
  readonly peer: string;
  /** The run's settings, as the game's schema gives them. */
  readonly params: unknown;
  readonly random: Random;
  /** Those that it conspires with. */
  readonly friends: ReadonlySet<string>;
  /** What the identities of one device share. */
  readonly family: Map<string, Claim>;
  /** Work of the open round that is in the log already, oldest first; waits for the first until the signal fires. */
  seen(signal: AbortSignal): Promise<readonly Claim[]>;
  /** By worker, what others said of its work of the round before. */
  shown(): ReadonlyMap<string, boolean>;
}

export interface Adversary {
  /** As in `--adversary NAME`. */
  readonly name: string;
  /** One sentence. */
  readonly does: string;
  /** In which roles its devices take part. */
  readonly roles: readonly PeerRole[];
  /** The games that it has to know; without them it plays any. */
  readonly games?: readonly string[];
  /** How many identities one device takes part with; one, if nothing is said. */
  readonly identities?: number;
  /** Makes so many keys before each round, takes part with the one that suits it best, and leaves with the one before; it keeps its keys, if nothing is said. */
  readonly keys?: number;
  /** Whether it is here in a round; always, if nothing is said. */
  readonly present?: (round: number) => boolean;
  /** In how many rounds it plays by the rules before it does its deed; none, if nothing is said. */
  readonly honest_rounds?: number;
  /** Whether it hands in last, when others' work can be seen. */
  readonly waits?: boolean;
  /** The game as its device plays it: `perform` of a worker, `check` of a validator; the rest stays as it is. */
  play(game: AnyGame, context: AdversaryContext): AnyGame;
}

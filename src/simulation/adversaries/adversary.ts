// What an adversary is: a wrapper around somebody else's game that tries to get pay without the work.
import type { PeerRole } from '../../core/events/peer-joined.ts';
import type { AnyGame, Claim } from '../../games/game.ts';
import type { Random } from '../../protocol/random.ts';

/** What a dishonest device can know and use: only the public log and what its conspirators tell it. */
export interface AdversaryContext {
  readonly role: PeerRole;
  /** Its id. */
  readonly peer: string;
  /** The run's settings, as the game's schema gives them. */
  readonly params: unknown;
  readonly random: Random;
  /** The ids that it conspires with. */
  readonly friends: ReadonlySet<string>;
  /** State that the identities of one device share. */
  readonly family: Map<string, Claim>;
  /** Work of the open round in the log, oldest first; waits for the first piece until the signal fires. */
  seen(signal: AbortSignal): Promise<readonly Claim[]>;
  /** By worker, the other judges' verdicts on its work of the round before. */
  shown(): ReadonlyMap<string, boolean>;
}

export interface Adversary {
  /** The name for `--adversary NAME`. */
  readonly name: string;
  /** One sentence. */
  readonly does: string;
  /** The roles of its devices. */
  readonly roles: readonly PeerRole[];
  /** The games that it knows; without them it plays any game. */
  readonly games?: readonly string[];
  /** With how many identities one device takes part; by default one. */
  readonly identities?: number;
  /** How many keys it makes before each round, to take part with the best one and leave with the last; by default it keeps its keys. */
  readonly keys?: number;
  /** Whether it is present in a round; by default always. */
  readonly present?: (round: number) => boolean;
  /** For how many rounds it is honest first; by default none. */
  readonly honest_rounds?: number;
  /** Whether it submits last, when other workers' submissions can be seen. */
  readonly waits?: boolean;
  /** The game as its device plays it: `perform` of a worker, `check` of a validator; the rest is unchanged. */
  play(game: AnyGame, context: AdversaryContext): AnyGame;
}

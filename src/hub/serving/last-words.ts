// What devices may still say of leases that have ended: it was on its way, and does no harm.
import { ProtocolError } from '../../protocol/errors.ts';

const LIMITS = {
  leases: 64, // of one device that are remembered
  words: 64, // messages of one lease that may come after its end, before they count as malformed
} as const;

export class LastWords {
  /** By connection: leases that have ended, and how many more of their messages may come. */
  readonly #ended = new Map<string, Map<string, number>>();

  ended(connection: string, lease: string): void {
    const ended = this.#ended.get(connection) ?? new Map<string, number>();
    this.#ended.set(connection, ended);
    ended.set(lease, LIMITS.words);
    if (ended.size > LIMITS.leases) ended.delete(ended.keys().next().value!);
  }

  /** A device could not know yet that the lease had ended. Throws ProtocolError `malformed` for a lease that it never had, or too many words. */
  hear(connection: string, lease: string): void {
    const ended = this.#ended.get(connection);
    const left = ended?.get(lease) ?? 0;
    if (left === 0) throw new ProtocolError('malformed', `lease ${lease}: expected one of this device's, got another`);
    ended!.set(lease, left - 1);
  }

  gone(connection: string): void {
    this.#ended.delete(connection);
  }
}

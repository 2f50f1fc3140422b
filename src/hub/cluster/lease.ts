// A lease says which of several processes tries to lead. It is for liveness only: who may write is decided by the journal (docs/decisions/0024).

/** Every implementation passes testing/lease-compliance.ts. Two processes may believe that they hold it, for a while. */
export interface Lease {
  /**
   * Resolves when this process holds the lease, which may never be; it is then renewed until `release`, or until it is lost, which
   * aborts `lost`. Rejects with the signal's reason.
   * @param holder who holds it, for everybody to read: at most 200 characters
   */
  hold(holder: string, signal: AbortSignal): Promise<Held>;
  /** Who holds it, as far as is known; null for nobody. Throws HubError `no-answer`. */
  holder(): Promise<string | null>;
}

export interface Held {
  /** Aborted when another has the lease, or nobody has confirmed it for GIVE_UP_MS; the reason is a HubError `lease-lost`. */
  readonly lost: AbortSignal;
  /** Frees it at once, for whoever waits. */
  release(): Promise<void>;
}

/** A lease that is not renewed for so long is free. */
export const LEASE_MS = 3000;
/** So often it is renewed: two renewals may be lost. */
export const RENEW_MS = 1000;
/**
 * A holder that hears nothing goes on for so long: while its keeper gets itself a new leader (5 to 8 seconds for JetStream) nobody else can take the
 * lease, and a hub would stand still for nothing. Should another have it by then, the journal refuses the old one.
 */
export const GIVE_UP_MS = 12_000;
/** What is written of a holder. */
export const MAX_HOLDER_CHARACTERS = 200;

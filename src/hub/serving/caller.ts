// Who asks the pool: which devices may see what is asked, and who pays for the answer.

/** What a caller wants of devices. */
export interface Caller {
  /** Only devices of these owners may see the request; null: any device. */
  readonly owners: ReadonlySet<string> | null;
  /** Where the caller is; null: not said. */
  readonly region: string | null;
  /** The most that a device may ask, in millionths of a credit for a million tokens; null: any price. */
  readonly most_price: number | null;
}
export const ANY_DEVICE: Caller = { owners: null, region: null, most_price: null };

/** Who pays for one answer, and what the caller can show its receipts with. Drawn for each. */
export interface Ticket {
  readonly account: string;
  readonly request: string;
  readonly salt: Uint8Array;
}

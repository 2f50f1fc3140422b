// Messages among the processes of one hub: fast and lossy. What must not be lost is in the journal (docs/decisions/0024).

/** Every implementation passes testing/bus-compliance.ts. */
export interface Bus {
  /**
   * Sends to whoever listens now. A message may be lost, also where several are sent; it never comes twice, and those of one sender to one
   * subject come in order. `bytes` must not change any more. Throws HubError `too-large` for more than MAX_BUS_BYTES.
   */
  publish(subject: string, bytes: Uint8Array): void;
  /**
   * Listens from now on; `flushed` tells when the engine knows. What `onMessage` throws is reported, and nothing else happens.
   * @param subject may end in `*`, which stands for one more part: `front.*`
   */
  subscribe(subject: string, onMessage: (bytes: Uint8Array, subject: string) => void): Subscription;
  /**
   * Asks whoever serves a subject. Throws HubError `no-answer` where nobody serves it, or nobody answered in time: whether the question was heard
   * is then not known, except where `details.unheard` is true. Throws `too-large` as `publish` does.
   */
  request(subject: string, bytes: Uint8Array, timeout_ms: number): Promise<Uint8Array>;
  /**
   * Answers requests. Of several who serve a subject under the same group one gets each request. An answer that rejects, or is larger than
   * MAX_BUS_BYTES, is not sent.
   */
  serve(subject: string, group: string, answer: (bytes: Uint8Array) => Promise<Uint8Array>): Subscription;
  /** Resolves when the engine has what was published and subscribed so far. Throws HubError `no-answer` where it cannot be reached. */
  flushed(): Promise<void>;
  /** How much was published that the engine may not have yet; beyond MAX_QUEUED_BYTES messages are lost. */
  readonly queued_bytes: number;
  /** Whether the engine can be reached now; until it can, messages are lost and requests fail. */
  readonly connected: boolean;
  /** Called at each change of `connected`. */
  onConnected(listener: (connected: boolean) => void): void;
  /** Sends what was published, then ends. */
  close(): Promise<void>;
}

export interface Subscription {
  close(): void;
}

/** What one message carries at most: the default limit of NATS. */
export const MAX_BUS_BYTES = 1 << 20;
/** What waits for an engine that does not read is bounded: half of what makes a NATS server give up a client that does not read. */
export const MAX_QUEUED_BYTES = 32 << 20;

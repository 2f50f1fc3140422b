// What holds one answer to a form: after each token, which tokens may come next.

/** The state of one answer under a form. */
export interface Grammar {
  /**
   * The ids that may come next, one bit each (see `allows`); end tokens are among them where the text may end here.
   * Never empty. It is the callee's own memory: not to be changed, and stale after `accept`.
   */
  mask(): Uint32Array;
  /** Goes on by a token. Throws ServingError `bad-grammar` for one outside the mask; then the state is as before. */
  accept(id: number): void;
  /** Whether the text is whole and nothing but its end may follow. A text that may end or go on (`12`) is not finished. */
  readonly finished: boolean;
  /** Looks once more at a whole text, by other means than those that made it. Throws ServingError `bad-grammar` or `too-large`. */
  readonly check?: ((text: string) => void) | undefined;
}

/** Whether an id is in a mask. */
export function allows(mask: Uint32Array, id: number): boolean {
  return ((mask[id >>> 5] >>> (id & 31)) & 1) === 1;
}

// Why a hub has not taken a piece of work, as a contributor should hear it: being late is nobody's fault.

/** What the log answers to work that comes after its round has closed, been opened again, or gone on to another model. */
const LATE: ReadonlySet<string> = new Set(['wrong-phase', 'wrong-round', 'wrong-model']);
/** The hub had lost sight of this tab meanwhile. */
const AWAY: ReadonlySet<string> = new Set(['not-present', 'wrong-session', 'disconnected', 'hub-unreachable']);

/** `mine`: whether there is something that this device or its owner can do about it. */
export function refusedWords({ code, message }: { readonly code: string; readonly message: string }): {
  readonly words: string;
  readonly mine: boolean;
} {
  if (LATE.has(code)) {
    return {
      words:
        'This piece came after its round had closed or begun again, so it could not be counted or paid. ' +
        'You did nothing wrong; the next one counts.',
      mine: false,
    };
  }
  if (AWAY.has(code)) {
    return {
      words: 'The connection broke before the hub had this piece, so it is not counted. The next one is sent as usual.',
      mine: false,
    };
  }
  if (code === 'already-submitted') {
    return { words: 'The hub already has a piece from this device for this round; one is counted.', mine: false };
  }
  return { words: `The hub did not take this piece: ${message}.`, mine: true };
}

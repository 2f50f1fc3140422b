// The names of keys: a hub's log and a witness have their own key in theirs, so that nobody needs to be introduced.

/** A hub's log, in its checkpoints. */
export const originOf = (hub: string): string => `potluck/${hub}`;
/** Whose log a checkpoint says it is of. */
export const hubOf = (note: string): string | undefined => /^potluck\/([0-9a-f]{64})\n/.exec(note)?.[1];
/** A witness, in its cosignatures: anybody can check them. */
export const witnessName = (id: string): string => `witness/${id}`;
export const witnessOf = (name: string): string | undefined => /^witness\/([0-9a-f]{64})$/.exec(name)?.[1];

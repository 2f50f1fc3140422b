// The names of log and witness keys. The name of a key contains the key itself, so a verifier needs no list of keys.

/** The name of a hub's log in its checkpoints. */
export const originOf = (hub: string): string => `potluck/${hub}`;
/** The hub whose log a checkpoint claims to be of. */
export const hubOf = (note: string): string | undefined => /^potluck\/([0-9a-f]{64})\n/.exec(note)?.[1];
/** The name of a witness in its cosignatures; anybody can check them. */
export const witnessName = (id: string): string => `witness/${id}`;
export const witnessOf = (name: string): string | undefined => /^witness\/([0-9a-f]{64})$/.exec(name)?.[1];

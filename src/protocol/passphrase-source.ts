// Where this process gets the passphrase of a key from. It is one source for the whole process, because one person sits at it.

/** Asks for the passphrase of the key in a file; null where nobody can be asked. */
export type AskPassphrase = (path: string) => Promise<string | null>;

let ask: AskPassphrase = async () => null;

export function passphrasesFrom(source: AskPassphrase): void {
  ask = source;
}

export const passphraseFor: AskPassphrase = (path) => ask(path);

// How this process comes by the passphrase of a key: there is one person at it, whichever file is read and whoever reads it.

/** Asks for the passphrase of the key in a file; null where nobody can be asked. */
export type AskPassphrase = (path: string) => Promise<string | null>;

let ask: AskPassphrase = async () => null;

export function passphrasesFrom(source: AskPassphrase): void {
  ask = source;
}

export const passphraseFor: AskPassphrase = (path) => ask(path);

// The account of the person at this machine, whose devices are "mine" in the API.
import { idInFile, loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { ownerKeyFile } from './folders.ts';
import { namedAccounts } from './options.ts';

/** None where there is no key, or none that can be read: a server does not need one. */
export async function ownAccounts(): Promise<string[]> {
  try {
    const account = await idInFile(ownerKeyFile());
    return account === null ? [] : [account];
  } catch {
    return [];
  }
}

/** Accounts on the command line: "mine", which makes a key on first use, or namedAccounts. Throws InvalidArgumentError, ProtocolError. */
export async function mineOrNamed(text: string): Promise<string[]> {
  if (text !== 'mine') return namedAccounts(text);
  return [(await idInFile(ownerKeyFile())) ?? (await loadOrCreateIdentity(ownerKeyFile())).id];
}

// A key as 24 words that a person can write down: BIP-39 over the 32 bytes of the secret itself, so that every key has exactly one phrase.
import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { OwnershipError } from '../audit/ownership-errors.ts';

/** The words of a secret of 32 bytes. Anybody who reads them has the key. */
export function phraseOf(secret: Uint8Array): string {
  return entropyToMnemonic(secret, wordlist);
}

/** The secret of a phrase; capitals and spacing do not matter. Throws OwnershipError `bad-phrase`, never quoting the words. */
export function secretOfPhrase(text: string): Uint8Array {
  const words = text.trim().toLowerCase().split(/\s+/);
  if (words.length !== 24) throw new OwnershipError('bad-phrase', `a key has 24 words, got ${words.length}`);
  const unknown = words.findIndex((word) => !wordlist.includes(word));
  if (unknown >= 0) throw new OwnershipError('bad-phrase', `word ${unknown + 1} is not in the BIP-39 word list`);
  try {
    return mnemonicToEntropy(words.join(' '), wordlist);
  } catch {
    throw new OwnershipError('bad-phrase', 'the words do not fit together: their checksum is wrong');
  }
}

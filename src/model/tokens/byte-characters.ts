// GPT-2's printable character for each byte (openai/gpt-2, encoder.py); byte-level vocabularies use these.

/** Printable Latin-1 bytes map to themselves, the 68 others to the characters from U+0100 on. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCodePoint(printable ? byte : next++);
  });
})();

const BYTES = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));
const encoder = new TextEncoder();

/** The UTF-8 of a text, with a printable character for each byte. */
export function toByteCharacters(text: string): string {
  let result = '';
  for (const byte of encoder.encode(text)) result += BYTE_CHARACTERS[byte];
  return result;
}

/** The bytes of printable characters; null where a character has no byte. */
export function fromByteCharacters(text: string): number[] | null {
  const bytes: number[] = [];
  for (const character of text) {
    const byte = BYTES.get(character);
    if (byte === undefined) return null;
    bytes.push(byte);
  }
  return bytes;
}

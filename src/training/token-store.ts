// The tokens of a text, kept until their number is known, because the size of the shards follows from it.

/** A list of tokens that can be read again in pieces. */
export interface TokenStore {
  readonly length: number;
  push(ids: readonly number[] | Uint32Array): void | Promise<void>;
  /** Some of the tokens in a shard's form: little-endian. */
  read(from: number, count: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Arrays in this machine's byte order. ONNX Runtime, which all training needs, is built for little-endian machines only. */
export const ARRAYS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array } as const;

const FIRST_TOKENS = 65_536;

/** A store in memory, for what fits into a page. */
export function memoryTokens(token_bytes: 1 | 2 | 4): TokenStore {
  let tokens = new ARRAYS[token_bytes](FIRST_TOKENS);
  let length = 0;
  return {
    get length() {
      return length;
    },
    push(ids) {
      if (length + ids.length > tokens.length) {
        const larger = new ARRAYS[token_bytes](2 * (length + ids.length));
        larger.set(tokens.subarray(0, length));
        tokens = larger;
      }
      tokens.set(ids, length);
      length += ids.length;
    },
    read: async (from, count) => new Uint8Array(tokens.buffer, from * token_bytes, count * token_bytes),
    close: async () => {
      tokens = new ARRAYS[token_bytes](0);
      length = 0;
    },
  };
}

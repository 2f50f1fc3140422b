// The interface of engines: one loaded model whose sequences share its weights. Every engine passes testing/engine-suite.ts.

/** How weights are stored, in GGUF's words. q8_0 and q4_0: blocks of 32 weights with a scale. */
export const QUANTISATIONS = ['f32', 'f16', 'q8_0', 'q4_0'] as const;
export type Quantisation = (typeof QUANTISATIONS)[number];

/** A model's tokens as an engine reads and writes them. */
export interface TokenTable {
  /** One more than the largest id. */
  readonly vocab_size: number;
  /** Ids below vocab_size that are never text. */
  readonly unused_ids: readonly number[];
  /** null when the model has none. */
  readonly bos_id: number | null;
  /** A text ends with any of these. */
  readonly end_ids: readonly number[];
  /** The ids of a text, without beginning or end token; special tokens are recognised only where `special` says so. */
  encode(text: string, special: boolean): number[];
  /** The bytes of UTF-8 that a token stands for; none for special tokens. A character may need several tokens. */
  bytesOf(id: number): Uint8Array;
}

export interface EngineModel {
  /** SHA-256 in hex of the model: of its manifest, or of its GGUF file. */
  readonly hash: string;
  /** A `Quantisation`, or the name of another type of ggml (`q4_k`). */
  readonly quantisation: string;
  /** The most tokens of one sequence. */
  readonly context_tokens: number;
  readonly tokens: TokenTable;
}

/** One text in progress. Calls on one sequence are queued. */
export interface Sequence {
  /** Tokens in the sequence. */
  readonly length: number;
  /**
   * Appends at least one token; returns the logits of the next one, [vocab_size]. Throws ServingError `bad-input`, or the
   * signal's reason; then the sequence is as before.
   */
  append(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array>;
  /** Appends tokens; returns the logits after each of them, [tokens, vocab_size]: how a judge reads an answer. */
  score(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array>;
  /** Truncates the sequence to its first `length` tokens. Throws ServingError `bad-input`. */
  rewind(length: number): void;
  /** Gives the sequence's place back. */
  close(): Promise<void>;
}

/** A model that is loaded. Sequences that append at the same time may be computed as one batch. */
export interface Engine {
  readonly name: 'own' | 'llama.cpp' | 'wllama';
  /** Engine, its version and kind of device: results of one class agree to the last bit, or within its published limits. */
  readonly class: string;
  readonly model: EngineModel;
  /** Tokens of cache that no sequence holds. */
  readonly free_tokens: number;
  /** Opens an empty sequence of up to `capacity` tokens (context_tokens by default). Throws ServingError `no-room`. */
  openSequence(capacity?: number): Promise<Sequence>;
  /** The final hidden state of each token's mean, [width], of unit length; missing where the engine cannot. */
  embed?(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array>;
  /** Frees the memory. Later calls are rejected. */
  close(): Promise<void>;
}

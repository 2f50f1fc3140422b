// The messages between the page and the Worker that holds the model.
import type { GenerateProgress } from '../../model/generate.ts';

/** Who writes: this browser itself, or the model of this name in the pool behind the hub. */
export type Writer = string;
export const THIS_BROWSER: Writer = '';

/** A request for a text: the same model writes the same text for the same order, whoever computes. */
export interface WriteOrder {
  readonly writer: Writer;
  readonly prompt: string;
  readonly max_tokens: number;
  readonly temperature: number;
  readonly top_p: number;
  readonly seed: number;
}

export type ToModel =
  /** Writes, after downloading the current model if needed. `ask_hub` false: the hub is known to be unreachable. */
  | { readonly kind: 'write'; readonly run: string; readonly ask_hub: boolean; readonly order: WriteOrder }
  /** Ends writing. */
  | { readonly kind: 'stop' };

/** The model that writes. */
export interface LoadedModel {
  readonly hash: string;
  readonly merged_rounds: number;
  readonly parameters: number;
  readonly layers: number;
  /** Tokens that it sees at once. */
  readonly context: number;
  readonly threads: number;
  /** This browser has stored it for use without the hub. */
  readonly kept: boolean;
}

export type FromModel =
  | { readonly kind: 'loading'; readonly what: string }
  /** `read_as`: the prompt as the model's tokenizer reads it, where that differs. */
  | { readonly kind: 'begun'; readonly model: LoadedModel; readonly read_as: string | null }
  | { readonly kind: 'piece'; readonly text: string; readonly progress: GenerateProgress }
  | {
      readonly kind: 'done';
      readonly progress: GenerateProgress;
      readonly seconds: number;
      readonly stopped: boolean;
    }
  /** In a sentence. The loaded model stays. */
  | { readonly kind: 'failed'; readonly message: string };

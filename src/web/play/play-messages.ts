// What the page and the Worker that holds the model say to each other.
import type { GenerateProgress } from '../../model/generate.ts';

/** A text that is asked for: the same model writes the same text to the same order. */
export interface WriteOrder {
  readonly prompt: string;
  readonly max_tokens: number;
  readonly temperature: number;
  readonly top_p: number;
  readonly seed: number;
}

export type ToModel =
  /** Writes, after fetching the present model where that is needed. `ask_hub` false: the hub is known to be away. */
  | { readonly kind: 'write'; readonly run: string; readonly ask_hub: boolean; readonly order: WriteOrder }
  /** Ends what is being written. */
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
  /** This browser keeps it, for a time when the hub is away. */
  readonly kept: boolean;
}

export type FromModel =
  | { readonly kind: 'loading'; readonly what: string }
  /** `read_as`: the prompt as the model's tokenizer reads it, where that is something else. */
  | { readonly kind: 'begun'; readonly model: LoadedModel; readonly read_as: string | null }
  | { readonly kind: 'piece'; readonly text: string; readonly progress: GenerateProgress }
  | {
      readonly kind: 'done';
      readonly progress: GenerateProgress;
      readonly seconds: number;
      readonly stopped: boolean;
    }
  /** In a sentence. The model that was loaded stays there. */
  | { readonly kind: 'failed'; readonly message: string };

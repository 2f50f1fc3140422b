// What the page and the Worker that holds the model say to each other.

export type ToModel =
  /** Once, first: which model. */
  | { readonly kind: 'open'; readonly url: string; readonly run: string }
  | {
      readonly kind: 'write';
      readonly prompt: string;
      readonly max_tokens: number;
      readonly temperature: number;
      readonly seed: number;
    }
  /** Ends what is being written. */
  | { readonly kind: 'stop' };

/** The model that writes. */
export interface ModelInHand {
  readonly hash: string;
  readonly merged_rounds: number;
  readonly parameters: number;
  readonly layers: number;
  readonly context: number;
  readonly threads: number;
}

export type FromModel =
  | { readonly kind: 'loading'; readonly what: string }
  | { readonly kind: 'ready'; readonly model: ModelInHand }
  | { readonly kind: 'piece'; readonly text: string }
  | { readonly kind: 'done'; readonly pieces: number; readonly seconds: number; readonly stopped: boolean }
  /** `model` stays in hand where there was one: a newer one could not be had, for example. */
  | { readonly kind: 'failed'; readonly message: string };

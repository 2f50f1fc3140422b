// The messages between the run's view and its Workers: the one that signs for the run's owner, and the one that fetches the model.

export type OwnersWord = 'run.paused' | 'run.resumed' | 'run.ended';

export interface OwnerOrder {
  readonly url: string;
  readonly run: string;
  readonly word: OwnersWord;
}

/** `merges_first`: the open round, whose work is merged before the change takes effect. */
export type OwnerNews =
  | { readonly kind: 'said'; readonly merges_first: number | null }
  | { readonly kind: 'failed'; readonly message: string };

export interface HomeOrder {
  readonly url: string;
  readonly run: string;
}

/** A file of the model's folder. */
export interface HomeFile {
  readonly name: string;
  readonly content: Blob;
}

export type HomeNews =
  | { readonly kind: 'progress'; readonly what: string }
  | {
      readonly kind: 'ready';
      readonly files: readonly HomeFile[];
      readonly model: string;
      readonly merged_rounds: number;
    }
  | { readonly kind: 'failed'; readonly message: string };

// What finds a model's tool calls in the text of an answer, while it comes.

export interface FoundCall {
  readonly name: string;
  readonly arguments: string;
}

/** One answer's text without what spells its calls. What it returns depends on the whole text so far alone, not on how it was cut. */
export interface CallReader {
  /** The text that is no call's, as far as that is certain. */
  push(text: string): string;
  /** The rest of it, and every call. Throws ServingError `bad-grammar` for a call that cannot be read. */
  end(): { readonly text: string; readonly calls: readonly FoundCall[] };
}

// What an audit of models has checked, and what it could not check.

/** What a task has checked, and what it could not. */
export interface ModelReport {
  models: number;
  works: number;
  /** Model versions that could not be computed, with the reason of the first. */
  unchecked_models: number;
  unchecked_works: number;
  /** Submissions that were not merged and whose work is not kept, so that nobody can judge them again. */
  gone: string[];
  /** Verdicts whose evidence is kept and right, and those whose evidence is not kept. */
  evidence: number;
  unchecked_evidence: number;
  reason: string | null;
  /** Blobs that are not kept, with the index of the event that needs them. */
  absent: { readonly hash: string; readonly index: number }[];
}

export const emptyReport = (): ModelReport => ({
  models: 0,
  works: 0,
  unchecked_models: 0,
  unchecked_works: 0,
  gone: [],
  evidence: 0,
  unchecked_evidence: 0,
  reason: null,
  absent: [],
});

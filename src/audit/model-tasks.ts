// What is to be checked of a log's models, in the order of the log: tasks that can be carried out in another thread.

/** A run begins: its settings and its first model are read. */
export interface RunTask {
  readonly kind: 'run';
  readonly run: string;
  /** Where the event stands in the log that this follows from. */
  readonly index: number;
  readonly game: string;
  readonly game_file?: string | undefined;
  readonly params: string;
  readonly model: string;
  /** What steps had left out until then; null: nothing. */
  readonly rest: string | null;
}

/** Work as its event describes it. */
export interface NamedWork {
  readonly index: number;
  readonly event: string;
  readonly work: string;
  readonly size_bytes: number;
  readonly weight: number;
}

/** A round is merged: `works` in the order of the log's list. */
export interface MergeTask {
  readonly kind: 'merge';
  readonly run: string;
  readonly index: number;
  readonly round: number;
  readonly parent: string;
  readonly works: readonly NamedWork[];
  readonly bundle: string;
  readonly model: string;
  readonly checkpoint: boolean;
  readonly step: string | null;
  readonly rest: string | null;
}

/** A run has come from another log: the merges since the checkpoint that it brought, whose work is in their bundles alone. */
export interface RecentTask {
  readonly kind: 'recent';
  readonly run: string;
  readonly index: number;
  readonly merges: readonly Pick<MergeTask, 'round' | 'parent' | 'bundle' | 'step' | 'model'>[];
}

/** Work that was not merged: only its form can be checked. */
export interface WorkTask {
  readonly kind: 'work';
  readonly index: number;
  readonly game: string;
  readonly game_file?: string | undefined;
  readonly params: string;
  readonly works: readonly NamedWork[];
}

/** Verdicts' evidence: that what their events name is kept, and is what they name. */
export interface EvidenceTask {
  readonly kind: 'evidence';
  readonly named: readonly { readonly index: number; readonly evidence: string }[];
}

export type ModelTask = RunTask | MergeTask | RecentTask | WorkTask | EvidenceTask;

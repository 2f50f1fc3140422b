// The messages between the page and the Worker that replays the log for it.
import type { AuditReport } from '../../audit/audit.ts';
import type { Holdings } from '../../audit/shares.ts';

export type LogOrder =
  /** Check everything; with `models` also every model version, which needs the blobs. */
  | { readonly kind: 'audit'; readonly models: boolean }
  /** Why a submission earned what it earned. */
  | { readonly kind: 'why'; readonly submission: string }
  /** Who holds what of a run. */
  | { readonly kind: 'holdings'; readonly run: string }
  /** The certificate of a holder. */
  | { readonly kind: 'certificate'; readonly run: string; readonly holder: string };

/** The log that an order is about. */
export interface LogPlace {
  readonly url: string;
  readonly hub: string;
}

export type LogNews =
  | { readonly kind: 'progress'; readonly events: number; readonly size: number; readonly models: number }
  | { readonly kind: 'audited'; readonly report: AuditReport }
  | { readonly kind: 'why'; readonly sentences: readonly string[] }
  | { readonly kind: 'holdings'; readonly holdings: Holdings }
  | { readonly kind: 'certificate'; readonly text: string }
  /** The log is untrue, and where. */
  | { readonly kind: 'untrue'; readonly code: string; readonly message: string; readonly index: number | null }
  | { readonly kind: 'problem'; readonly message: string };

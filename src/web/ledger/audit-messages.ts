// What the page and the Worker that audits for it say to each other.
import type { AuditReport } from '../../peer/audit.ts';

export interface AuditOrder {
  readonly url: string;
  readonly hub: string;
  /** Recompute model versions, which needs their blobs. */
  readonly models: boolean;
}

export type AuditNews =
  | { readonly kind: 'progress'; readonly events: number; readonly size: number; readonly models: number }
  | { readonly kind: 'true'; readonly report: AuditReport }
  | { readonly kind: 'untrue'; readonly code: string; readonly message: string; readonly index: number | null }
  | { readonly kind: 'problem'; readonly message: string };

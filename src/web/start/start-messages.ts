// The messages between the page and the Worker that creates a run.
import type { Plan } from './plan.ts';

export interface StartOrder {
  readonly url: string;
  readonly plan: Plan;
}

export type StartNews =
  | { readonly kind: 'progress'; readonly what: string }
  | { readonly kind: 'created'; readonly run: string }
  | { readonly kind: 'failed'; readonly message: string };

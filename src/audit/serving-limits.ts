// What the owner of a run has published of honest answers of its models, as the log has it.
import type { Margins } from '../core/events/limits-published.ts';
import type { PublicLog } from './public-log.ts';
import { chooseRunIn, replayWithPool } from './shares.ts';

export interface ServingLimits {
  readonly run: string;
  /** How often limits were published: the number that the next ones carry. */
  readonly published: number;
  /** The present ones, by quantisation. */
  readonly margins: Readonly<Record<string, Margins>>;
}

/** The limits of the run whose id begins with `wanted`. Throws LookupError, AuditFailure, PublicLogError. */
export async function servingLimitsOf(log: PublicLog, wanted: string): Promise<ServingLimits> {
  const { id, serving } = chooseRunIn((await replayWithPool(log)).state, wanted);
  return { run: id, published: serving.published, margins: Object.fromEntries(serving.margins) };
}

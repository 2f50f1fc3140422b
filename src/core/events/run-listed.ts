// A run's owner says in a registry's log where the run is.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { ForeignEventSchema } from '../moving/foreign-event.ts';
import { applyListing, refusalOfListing } from '../registry/directory.ts';
import { hubUrl, v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

/** By the run's owner: the run is in the log of the hub that `held` names. The last listing counts; they are counted, so that none is used again. */
export const RunListedSchema = z.strictObject({
  type: z.literal('run.listed'),
  ...v1,
  run: hash,
  number: count,
  /** Where that hub answers, in the owner's words. */
  url: hubUrl,
  /** That the log of that hub holds the run: its `run.created` there, or its `run.arrived` where it came from elsewhere. */
  held: ForeignEventSchema,
});
export type RunListed = z.infer<typeof RunListedSchema>;

export const runListed = networkEvent(RunListedSchema, {
  about: 'run',
  words: ({ url, held }, who, say) => `${who} listed a run of the hub ${say.short(held.hub)}, ${say.quoted(url)}`,
  refusalOf: (state, { author, body }) => refusalOfListing(state, author, body),
  apply: (state, { body }) => applyListing(state, body),
});

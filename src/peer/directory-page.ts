// What a registry says of the runs that its directory lists, a page of it at a time: its word alone; entries of its log prove it (directory.ts).
import { z } from 'zod';
import { hubUrl } from '../core/events/fields.ts';
import { count, hash } from '../protocol/schemas.ts';

/** The path of a page; `from` is the `next` of the page before. @param wanted only runs with this name, or whose id begins so */
export const directoryPath = (from: number, wanted?: string): string =>
  `/directory?from=${from}${wanted === undefined ? '' : `&run=${encodeURIComponent(wanted)}`}`;

export const DirectoryPageSchema = z.object({
  /** The registry's own id. */
  hub: hash,
  runs: z.array(
    z.object({
      ...{ run: hash, name: z.string().max(1000), owner: hash, hub: hash, url: hubUrl },
      ...{ listed: count, moves: count },
    }),
  ),
  next: count.nullable(),
});

export type DirectoryPage = z.infer<typeof DirectoryPageSchema>;

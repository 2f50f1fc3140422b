// Lists a bucket page by page (S3 ListObjectsV2).
import { S3Error } from './errors.ts';

export interface ObjectInfo {
  readonly key: string;
  readonly size_bytes: number;
  /** When it was last put, in ms since 1970; stores say whole seconds. */
  readonly modified_ms: number;
}

/** What S3 gives at most. */
export const PAGE = 1000;

/**
 * Every object whose whole key begins with `prefix`; of each key the first `skip` characters are left out.
 * @param at_once how many come in a page
 * @param page asks for one page by its query. Throws S3Error `s3-refused` for an answer that is no listing, and what `page` throws.
 */
export async function* listAll(
  { prefix, skip, at_once }: { readonly prefix: string; readonly skip: number; readonly at_once: number },
  page: (query: Record<string, string>) => Promise<string>,
): AsyncGenerator<ObjectInfo, void> {
  for (let more: string | null = ''; more !== null; ) {
    const from: Record<string, string> = more === '' ? {} : { 'continuation-token': more };
    const text = await page({ 'list-type': '2', 'max-keys': String(at_once), prefix, ...from });
    if (!text.includes('<ListBucketResult'))
      throw new S3Error('s3-refused', 'expected a ListBucketResult from the store');
    for (const [, entry] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) yield infoOf(entry, skip);
    more = tagIn(text, 'IsTruncated') === 'true' ? tagIn(text, 'NextContinuationToken') : null;
  }
}

function infoOf(entry: string, skip: number): ObjectInfo {
  const size_bytes = Number(tagIn(entry, 'Size') ?? Number.NaN);
  const modified_ms = Date.parse(tagIn(entry, 'LastModified') ?? '');
  const key = tagIn(entry, 'Key');
  if (key === null || !Number.isSafeInteger(size_bytes) || Number.isNaN(modified_ms)) {
    throw new S3Error('s3-refused', 'expected Key, Size and LastModified of each object in a listing');
  }
  return { key: key.slice(skip), size_bytes, modified_ms };
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function tagIn(text: string, tag: string): string | null {
  const found = new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(text);
  return found?.[1].replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name]) ?? null;
}

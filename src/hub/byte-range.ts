// One range of bytes of something that never changes (RFC 9110, sections 13 and 14): what a request asks for, and whether the client has it already.

export type RangeAnswer =
  /** The whole: there is no range, or several, or an invalid one, or one of another version. */
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly from: number; readonly to: number }
  /** Begins after the end: 416. */
  | { readonly kind: 'beyond' };

/**
 * Which of `size_bytes` bytes with the strong tag `etag` to send.
 * @param range the Range header; an invalid one is ignored, as section 14.2 allows
 * @param if_range the If-Range header: a part is sent only of the version that it names (13.1.5); a date never matches
 * @returns a part as [from, to)
 */
export function rangeOf(
  size_bytes: number,
  etag: string,
  range: string | undefined,
  if_range: string | undefined,
): RangeAnswer {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec((range ?? '').trim());
  const versionFits = if_range === undefined || if_range.trim() === etag;
  if (!match || !versionFits || (match[1] === '' && match[2] === '')) return { kind: 'whole' };
  const [first, last] = match.slice(1).map((digits) => (digits === '' ? null : Number(digits)));
  if (first === null) {
    // The last so many bytes.
    if (last === 0 || size_bytes === 0) return { kind: 'beyond' };
    return { kind: 'part', from: Math.max(0, size_bytes - last!), to: size_bytes };
  }
  if (last !== null && last < first) return { kind: 'whole' };
  if (first >= size_bytes) return { kind: 'beyond' };
  return { kind: 'part', from: first, to: last === null ? size_bytes : Math.min(size_bytes, last + 1) };
}

/** Whether If-None-Match names the version with this tag, so that the client has it (13.1.2, weak comparison). */
export function hasAlready(etag: string, if_none_match: string | undefined): boolean {
  if (if_none_match === undefined) return false;
  const tags = if_none_match.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes('*') || tags.includes(etag);
}

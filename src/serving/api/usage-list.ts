// GET /v1/usage: how much was asked, by day and model: a caller's own, or of all keys for whoever runs the server.
import { ApiError } from './errors.ts';
import { ANYBODY, type Keys } from './keys.ts';
import { dayBefore, USAGE_LIMITS, type UsageBook } from './usage-book.ts';
import type { UsageList } from './usage-form.ts';

const DAYS = 30;

/** How many days a query asks for. Throws ApiError `bad-request`. */
function daysOf(text: string | undefined): number {
  const days = text === undefined ? DAYS : /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (days >= 1 && days <= USAGE_LIMITS.days) return days;
  throw new ApiError('bad-request', `days: expected 1 to ${USAGE_LIMITS.days}`, { param: 'days' });
}

/** @param caller null: whoever runs the server. Throws ApiError `bad-request`. */
export async function usageList(
  book: UsageBook,
  keys: Keys | null,
  caller: { readonly id: string; readonly name: string } | null,
  { days, now_ms }: { readonly days: string | undefined; readonly now_ms: number },
): Promise<UsageList> {
  const since = dayBefore(now_ms, daysOf(days) - 1);
  const all = caller === null ? ((await keys?.all()) ?? []) : [];
  const named = [...all, ANYBODY, ...(caller ? [caller] : [])];
  const names = new Map(named.map(({ id, name }) => [id, name]));
  const rows = book.rows({ key: caller?.id ?? null, since });
  return {
    ...{ object: 'list', of: caller ? 'key' : 'all', since },
    data: rows.map(({ key, ...row }) => ({ ...row, key: { id: key, name: names.get(key) ?? null } })),
    keys: all.map(({ id, name, owners }) => ({ id, name, owners: owners && [...owners] })),
  };
}

// What a hub says of the use of its API keys, put together by key.
import { addedUp, NOTHING, type UsageCounts, UsageListSchema } from '../../serving/api/usage-form.ts';
import type { PoolAddress } from './pool-client.ts';

export interface UsageDay extends UsageCounts {
  readonly day: string;
  /** Empty for requests that were refused before they named one. */
  readonly model: string;
}

export interface KeyUsage {
  readonly id: string;
  /** null: it was removed. */
  readonly name: string | null;
  /** Whose devices alone may answer it; null: any, or not known. */
  readonly owners: readonly string[] | null;
  /** The newest day first. */
  readonly days: readonly UsageDay[];
}

export type KnownUsage =
  | {
      readonly kind: 'usage';
      readonly of: 'key' | 'all';
      readonly since: string;
      readonly keys: readonly KeyUsage[];
    }
  | { readonly kind: 'key-needed' }
  | { readonly kind: 'none' };

/** @param days that are counted, today included */
export async function usageAt({ base_url, key }: PoolAddress, days: number): Promise<KnownUsage> {
  const headers: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};
  const response = await fetch(`${base_url}/usage?days=${days}`, { headers }).catch(() => null);
  if (response?.status === 401) return { kind: 'key-needed' };
  const found = UsageListSchema.safeParse(await response?.json().catch(() => null));
  if (!response?.ok || !found.success) return { kind: 'none' };
  const { of, since, data, keys } = found.data;
  const known = new Map(keys.map((one) => [one.id, { ...one, days: [] as UsageDay[] }]));
  const all = new Map<string, KeyUsage & { days: UsageDay[] }>(known);
  for (const { key, ...day } of data) {
    const one = all.get(key.id) ?? { ...key, owners: null, days: [] };
    all.set(key.id, one);
    one.days.push(day);
  }
  return { kind: 'usage', of, since, keys: [...all.values()] };
}

export const sumOf = (days: readonly UsageCounts[]): UsageCounts => days.reduce(addedUp, NOTHING);

// A device's receipt of a day, signed with its key: what it worked, what that took and cost, what it earned, why it paused.
// Each names the one before by its hash, so that none can be taken out of the middle or replaced without a trace.
import { z } from 'zod';
import { firstIssue } from '../../errors.ts';
import { type EventBody, openEvent, signEvent } from '../../protocol/envelope.ts';
import type { Identity } from '../../protocol/identity.ts';
import { type DayCounts, DayCountsSchema, type DayWork, type OpenDay } from './day-book.ts';
import { OwnerPolicyError } from './errors.ts';

export const DAY_RECEIPT = 'device.day';

const DayReceiptSchema = z.strictObject({
  type: z.literal(DAY_RECEIPT),
  version: z.literal(1),
  /** From 1, one more each time. */
  number: z.int().min(1),
  /** The id of the receipt before; null for the first. */
  previous: z.string().nullable(),
  day: z.string().regex(/^\d{4}-\d{2}-\d{2}$/),
  time_zone: z.string().max(60),
  /** By the device's clock, in milliseconds since 1970. */
  from_ms: z.int().min(0),
  to_ms: z.int().min(0),
  currency: z.string().max(3).nullable(),
  ...DayCountsSchema.shape,
  /** In millionths of the currency. The first is rounded down, the second up. */
  earned_micro: z.int(),
  cost_micro: z.int(),
});
export type DayReceiptBody = z.infer<typeof DayReceiptSchema>;

export interface DayReceipt {
  readonly id: string;
  readonly device: string;
  readonly body: DayReceiptBody;
}

const MILLIJOULES_PER_KWH = 3_600_000_000n;
const HOUR_MS = 3_600_000n;

/** What the counts come to, in integers alone: earnings are rounded down, costs up. */
export function sumsOf(counts: DayCounts): { readonly earned_micro: number; readonly cost_micro: number } {
  const energy = sumOf(counts.energy, (one) => BigInt(one.millijoules) * BigInt(one.micro_per_kwh ?? 0));
  const wear = sumOf(counts.wear, (one) => BigInt(one.worked_ms) * BigInt(one.micro_per_hour));
  const earned = sumOf(counts.work, (line) => BigInt(amountOf(line)) * BigInt(line.micro_per_million));
  // One fraction of both, so that it is rounded once.
  const cost = -floorOf(-(energy * HOUR_MS + wear * MILLIJOULES_PER_KWH), MILLIJOULES_PER_KWH * HOUR_MS);
  return { earned_micro: numberOf(floorOf(earned, 1_000_000n)), cost_micro: numberOf(cost) };
}

/** What no signed number can hold is more than there is of any money. */
const MOST = BigInt(Number.MAX_SAFE_INTEGER);
const numberOf = (value: bigint): number => Number(value > MOST ? MOST : value < -MOST ? -MOST : value);

const sumOf = <T>(lines: readonly T[], of: (line: T) => bigint): bigint =>
  lines.reduce((sum, line) => sum + of(line), 0n);

/** Towards minus infinity, as BigInt's own division is not. */
function floorOf(value: bigint, by: bigint): bigint {
  const whole = value / by;
  return value % by < 0n ? whole - 1n : whole;
}

/** What of the work the owner values. */
const amountOf = ({ value_of, shares, verified }: DayWork): number =>
  value_of === 'share' ? shares : value_of === 'unit' ? verified : 0;

/** Energy of the day in kWh, in all. */
export const kilowattHours = ({ energy }: DayCounts): number =>
  energy.reduce((sum, { millijoules }) => sum + millijoules, 0) / Number(MILLIJOULES_PER_KWH);

/** How the energy is known, in a word. */
export function howMeasured({ energy, unknown_energy_ms }: DayCounts): string {
  const ways = [...new Set(energy.map(({ how }) => how))].sort();
  if (unknown_energy_ms > 0) ways.push('unknown' as never);
  return ways.join(' and ') || 'none';
}

/** Signs a day that is over. @returns the receipt's bytes, which are its file */
export function signDay(
  identity: Identity,
  { day, from_ms, to_ms, counts }: OpenDay,
  chain: { readonly number: number; readonly previous: string | null },
  place: { readonly time_zone: string; readonly currency: string | null },
): Promise<Uint8Array> {
  const head = {
    type: DAY_RECEIPT,
    version: 1,
    ...chain,
    day,
    ...place,
    from_ms,
    to_ms: Math.max(from_ms, to_ms),
  } as const;
  const body: DayReceiptBody = { ...head, ...counts, ...sumsOf(counts) };
  return signEvent(identity, body as unknown as EventBody);
}

/**
 * Opens a receipt: its signature, its form, and whether its sums follow from what it counts.
 * Throws ProtocolError where it is no signed thing, OwnerPolicyError `not-a-day-receipt`, `wrong-sum`.
 */
export function openDayReceipt(bytes: Uint8Array): DayReceipt {
  const { id, author, body } = openEvent(bytes);
  const parsed = DayReceiptSchema.safeParse(body);
  if (!parsed.success) {
    const got = body.type === DAY_RECEIPT ? firstIssue(parsed.error) : `a signed "${body.type.slice(0, 40)}"`;
    throw new OwnerPolicyError('not-a-day-receipt', `expected a receipt of a day, got ${got}`);
  }
  const { earned_micro, cost_micro } = sumsOf(parsed.data);
  for (const [name, sum] of Object.entries({ earned_micro, cost_micro })) {
    const said = parsed.data[name as keyof typeof parsed.data];
    if (said !== sum)
      throw new OwnerPolicyError('wrong-sum', `${name}: expected ${sum} from what it counts, got ${said}`);
  }
  return { id, device: author, body: parsed.data };
}

/** Whether receipts follow each other, in order of number; the sentence says where they do not. */
export function chainProblem(receipts: readonly DayReceipt[]): string | null {
  for (const [i, { device, body }] of receipts.entries()) {
    const before = receipts[i - 1] ?? null;
    if (body.number !== i + 1) return `expected receipt ${i + 1}, got number ${body.number}: one is missing`;
    if (body.previous !== (before?.id ?? null)) return `receipt ${body.number} does not follow the one before it`;
    if (before && before.device !== device) return `receipt ${body.number} is signed by another device`;
  }
  return null;
}

// The report on a strategy: its cost, its pay, its damage to the result, and whether it pays to lie.

import type { PeerRole } from '../core/events/peer-joined.ts';
import { mean } from '../training/statistics.ts';
import type { Adversary } from './adversaries/adversary.ts';
import type { ArenaResult, DeviceResult } from './arena-result.ts';
import { SimulationError } from './errors.ts';

/** A strategy compared with honest devices of the same role in the same arena. */
export interface StrategyReport {
  readonly adversary: string;
  readonly role: PeerRole;
  readonly does: string;
  /** Units of work of one of its devices, relative to an honest one. */
  readonly cost: number;
  /** Shares of one of its devices at the end, relative to an honest one; of validators, for the same stake. */
  readonly pay: number;
  /** Pay per cost, relative to an honest device. */
  readonly gain: number;
  /** How much worse the result is than without liars, as a part of it. */
  readonly damage: number;
  /** The largest change that an honest worker's pay suffered against the others', as a part of it. */
  readonly skew: number;
  /** The outcomes of its submissions or verdicts. */
  readonly fates: Readonly<Record<string, number>>;
  readonly exploit: boolean;
  readonly verdict: string;
}

/**
 * Keys, connections and uploads are never free: taking part costs a hundredth of an honest device's work. Without this cost a device that
 * does nothing would be infinitely efficient.
 */
const PRESENCE = 0.01;
/** Honest devices differ by luck: a strategy gains nothing unless it gains more than this and more than the luckiest honest device. */
const LUCK = 1.1;

const gainOf = (cost: number, pay: number): number => pay / ((cost + PRESENCE) / (1 + PRESENCE));

const sharesByStake = (devices: readonly DeviceResult[]): number =>
  mean(devices.map(({ shares, stake }) => shares / stake));

const honestOf = ({ devices }: ArenaResult, role: PeerRole): DeviceResult[] =>
  devices.filter((device) => device.role === role && device.adversary === null);

/** Honest devices must earn something; otherwise there is nothing to compare with. Throws SimulationError no-honest-pay. */
export function requireHonestPay(honest: ArenaResult): void {
  const poor = honest.devices.find(({ shares }) => shares === 0);
  if (!poor) return;
  const fates = Object.entries(poor.fates).map(([fate, count]) => `${fate} ${count}×`);
  const idle = poor.role === 'worker' && poor.submitted === 0 ? 'it handed nothing in' : 'no verdict came of it';
  // The device that earns nothing may be another one than that on which the game failed.
  const why = poor.problem ? `: ${poor.problem}` : problemAmong(honest);
  throw new SimulationError(
    'no-honest-pay',
    `${poor.name} has earned nothing among honest devices only (${fates.join(', ') || idle})${why}`,
  );
}

/** The first error of the game on an honest device, as the end of a sentence. */
function problemAmong({ devices }: ArenaResult): string {
  const found = devices.find(({ adversary, problem }) => adversary === null && problem !== null);
  return found ? `; ${found.name}: ${found.problem}` : '';
}

/** How much worse a result is by the game's first metric, which may be negative or 0. */
export function damageOf(result: ArenaResult, honest: ArenaResult): number {
  const wanted = honest.measured.at(-1)!;
  const more = (result.measured.at(-1)! - wanted) / Math.max(1, Math.abs(wanted));
  return honest.better === 'lower' ? more : -more;
}

const honestSum = (result: ArenaResult, of: (device: DeviceResult) => number): number =>
  honestOf(result, 'worker').reduce((sum, device) => sum + of(device), 0);

/** The part of honest workers' submissions that was not merged. */
export function refusedOf(result: ArenaResult): number {
  return (
    1 -
    honestSum(result, ({ merged }) => merged) /
      Math.max(
        1,
        honestSum(result, ({ submitted }) => submitted),
      )
  );
}

/** The part of honest workers' pay that they did not lose again. */
export function keptOf(result: ArenaResult): number {
  const [kept, lost] = [honestSum(result, ({ shares }) => shares), honestSum(result, ({ forfeited }) => forfeited)];
  return kept / Math.max(1, kept + lost);
}

/** The largest relative difference of an honest worker's pay for a submission from that of the others. */
export function skewOf(result: ArenaResult, honest: ArenaResult): number {
  const parts = (of: ArenaResult): number[] => {
    const shares = honestOf(of, 'worker').map((device) => device.shares);
    return shares.map((value) => value / Math.max(1, mean(shares)));
  };
  const before = parts(honest);
  return Math.max(...parts(result).map((part, i) => Math.abs(part - before[i])));
}

/** One report for each role that an adversary plays. */
export function reportOn(adversary: Adversary, result: ArenaResult, honest: ArenaResult): StrategyReport[] {
  return adversary.roles.map((role) => {
    const own = result.devices.filter((device) => device.role === role && device.adversary === adversary.name);
    const others = honestOf(result, role);
    const honest_units = mean(others.map(({ units }) => units));
    const honest_shares = sharesByStake(others);
    const cost = mean(own.map(({ units }) => units)) / Math.max(1, honest_units);
    const own_shares = sharesByStake(own);
    const pay = honest_shares > 0 ? own_shares / honest_shares : own_shares > 0 ? Number.POSITIVE_INFINITY : 0;
    const gain = gainOf(cost, pay);
    const lucky = others.map(({ units, shares, stake }) =>
      gainOf(units / Math.max(1, honest_units), shares / stake / honest_shares),
    );
    const exploit = gain > Math.max(LUCK, ...lucky.filter(Number.isFinite));
    const { name, does } = adversary;
    const damage = damageOf(result, honest);
    const fates: Record<string, number> = {};
    for (const device of own) {
      for (const [fate, count] of Object.entries(device.fates)) fates[fate] = (fates[fate] ?? 0) + count;
    }
    const verdict = exploit
      ? `EXPLOIT: ${name} (${role}) earns ${two(gain)} times as much per cost as honesty: it ${does}`
      : `${name} (${role}) earns ${two(pay)} of an honest peer`;
    const broke = problemAmong(result);
    return {
      adversary: name,
      role,
      does,
      cost,
      pay,
      gain,
      damage,
      skew: skewOf(result, honest),
      fates,
      exploit,
      verdict: `${verdict}${broke}`,
    };
  });
}

/** A strategy that breaks the game itself, so that nobody is paid any more. That is an exploit, too. */
export function reportBroken({ name, roles, does }: Adversary, reason: string): StrategyReport {
  return {
    ...{
      adversary: name,
      role: roles[0],
      does,
      cost: 0,
      pay: 0,
      gain: 0,
      damage: 1,
      skew: 0,
      fates: {},
      exploit: true,
    },
    verdict: `EXPLOIT: ${name} stops the run: ${reason}`,
  };
}

const two = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2));

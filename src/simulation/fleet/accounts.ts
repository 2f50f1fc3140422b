// What a simulated fleet has done so far: seconds, tokens, bytes, energy and money of each class, hour by hour.
import { eventsOf, sumOfEvents } from './events.ts';
import { bundleBytes, HOURS_A_DAY } from './fleet.ts';
import { HOUR_S, type Hour, type HourTokens, type Setting, timesOf, tokensOf } from './hour.ts';
import { criticalBatch, lossOf, usefulPart } from './learning.ts';
import { limitsBroken, needsOf, type Peaks } from './needs.ts';
import { atLocalHour } from './presence.ts';
import { type Bytes, type ClassResult, type FleetResult, TIMES, type Times } from './result.ts';
import { bytesOf } from './traffic.ts';

const JOULES_A_KWH = 3.6e6;
const GRAMS_A_KG = 1000;
const MILLION = 1e6;
const BILLION = 1e9;
/** Of a dense exchange a parameter has this many bytes: float32. */
const DENSE_BYTES = 4;

interface ClassSum {
  times: Times;
  present: number;
  tokens: number;
  served: number;
  kwh: number;
  eur: number;
  kg: number;
  income: number;
}

const noTimes = (): Times => Object.fromEntries(TIMES.map((name) => [name, 0])) as Times;
const BUSY = ['training', 'lost', 'judging', 'serving'] as const;

export class Accounts {
  readonly #setting: Setting;
  readonly #classes: ClassSum[];
  readonly #hours: FleetResult['hours'] = {
    ...{ present: [], workers: [], tokens_per_s: [], useful_tokens_per_s: [], served_tokens_per_s: [] },
    ...{ asked_tokens_per_s: [], kw: [], round_s: [], events_per_s: [], hub_bytes_per_s: [], loss: [] },
  };
  readonly #tokens = {
    computed: 0,
    lost: 0,
    unjudged: 0,
    refused: 0,
    merged: 0,
    useful: 0,
    false: 0,
    served: 0,
    asked: 0,
  };
  readonly #bytes: Bytes = { up: 0, down: 0, hub_in: 0, hub_out: 0, store_in: 0, cdn_out: 0, between: 0 };
  readonly #money = { paid: 0, workers: 0, validators: 0, owner: 0, unearned: 0, serving: 0 };
  readonly #rounds = {
    count: 0,
    left: 0,
    too_slow: 0,
    seconds: 0,
    workers: 0,
    handed_in: 0,
    judged: 0,
    up: 0,
    down: 0,
    batch: 0,
    events: 0,
    judges: 0,
    needed: 0,
  };
  readonly #peaks: Peaks = {
    events_per_s: 0,
    hub_in_per_s: 0,
    hub_out_per_s: 0,
    peers: 0,
    work_tokens: 0,
    bundle_bytes: 0,
    follow_rounds: 0,
  };
  #seconds = 0;
  finished = false;

  constructor(setting: Setting) {
    this.#setting = setting;
    this.#classes = setting.fleet.classes.map(() => {
      return { times: noTimes(), present: 0, tokens: 0, served: 0, kwh: 0, eur: 0, kg: 0, income: 0 };
    });
  }

  /** Adds an hour; of the last one only as much as is needed for the tokens that are wanted. */
  addHour(hour: Hour): void {
    const { model, runs } = this.#setting.fleet;
    const tokens = tokensOf(hour, this.#setting);
    const left = model.tokens * runs - this.#tokens.merged;
    const part = tokens.merged > left ? left / tokens.merged : 1;
    this.finished = tokens.merged >= left;
    this.#seconds += HOUR_S * part;
    const useful = tokens.merged * usefulPart(this.#batchOf(hour), criticalBatch(model.tokens));
    for (const name of ['computed', 'lost', 'unjudged', 'refused', 'merged', 'false'] as const)
      this.#tokens[name] += tokens[name] * part;
    this.#tokens.useful += useful * part;
    const kwh = this.#addTimes(hour, part);
    const hub = this.#addBytes(hour, part);
    const events = this.#addRounds(hour, part);
    this.#addMoney(hour, tokens, part);
    this.#addServing(hour, part);
    this.#note(hour, { tokens: tokens.merged, useful, kwh, hub, events });
  }

  /** The batch of an inner step of a run: all of its works together. */
  #batchOf({ round }: Hour): number {
    return round ? round.handed_in * round.judged * this.#setting.fleet.model.batch_tokens : 0;
  }

  /** Seconds and energy. @returns kWh of the whole hour */
  #addTimes(hour: Hour, part: number): number {
    const { classes } = this.#setting.fleet;
    let kwh_all = 0;
    for (const [i, times] of timesOf(hour, this.#setting).entries()) {
      const one = classes[i];
      const sum = this.#classes[i];
      for (const name of TIMES) sum.times[name] += times[name] * part;
      sum.present += hour.crowds[i].present * HOUR_S * part;
      const kwh = (BUSY.reduce((all, name) => all + times[name], 0) * one.watts) / JOULES_A_KWH;
      sum.kwh += kwh * part;
      sum.eur += kwh * part * atLocalHour(one.eur_per_kwh, one, hour.hour);
      sum.kg += (kwh * part * atLocalHour(one.g_co2_per_kwh, one, hour.hour)) / GRAMS_A_KG;
      kwh_all += kwh;
    }
    return kwh_all;
  }

  /** @returns bytes of the whole hour that pass the hub, in both directions */
  #addBytes(hour: Hour, part: number): number {
    const add = bytesOf(hour, this.#setting.fleet);
    for (const name of Object.keys(add) as (keyof Bytes)[]) this.#bytes[name] += add[name] * part;
    this.#peaks.hub_in_per_s = Math.max(this.#peaks.hub_in_per_s, add.hub_in / HOUR_S);
    this.#peaks.hub_out_per_s = Math.max(this.#peaks.hub_out_per_s, add.hub_out / HOUR_S);
    return add.hub_in + add.hub_out;
  }

  /** @returns events a second of all runs together */
  #addRounds({ crowds, shares, round, run, count }: Hour, part: number): number {
    const { rules, runs, model } = this.#setting.fleet;
    const sum = this.#rounds;
    const peers = shares.reduce((all, { workers, judges }) => all + workers + judges, 0) / runs;
    this.#peaks.peers = Math.max(this.#peaks.peers, peers);
    if (!round) return 0;
    const eligible = run.judges.reduce((all, n) => all + n, 0);
    const comings =
      crowds.reduce((all, { arrivals, departures, present, serving }) => {
        return all + (present > 0 ? ((arrivals + departures) * (present - serving)) / present : 0);
      }, 0) / runs;
    const events = eventsOf({
      ...{ works: round.handed_in, judges: rules.judges, eligible, appeals: this.#setting.opinion.appeals },
      ...{ comings: comings / Math.max(count, 1e-9), work_s: round.work_s, judging_s: round.judging_s },
    });
    const all = sumOfEvents(events);
    const rounds = count * part;
    sum.count += rounds;
    sum.seconds += rounds * round.round_s;
    sum.workers += rounds * round.workers;
    sum.handed_in += rounds * round.handed_in;
    for (const { steps, workers, handed_in } of round.turns) {
      if (steps > 0) sum.left += rounds * (workers - handed_in);
      else sum.too_slow += rounds * workers;
    }
    sum.judged += rounds * round.handed_in * round.judged;
    sum.up += rounds * round.handed_in * round.up_bytes;
    sum.down += rounds * round.workers * round.down_bytes;
    sum.batch += rounds * round.handed_in * round.judged * model.batch_tokens;
    sum.events += rounds * all;
    sum.judges += rounds * eligible;
    const { judging_s } = this.#setting.fleet.round;
    sum.needed += rounds * eligible * (judging_s > 0 ? round.judges_need_s / judging_s : 0);
    if (eligible > 0)
      this.#peaks.bundle_bytes = Math.max(this.#peaks.bundle_bytes, bundleBytes(this.#setting.fleet, round.handed_in));
    this.#peaks.follow_rounds = Math.max(this.#peaks.follow_rounds, round.judges_follow_s / round.round_s);
    const per_s = all / round.round_s;
    this.#peaks.events_per_s = Math.max(this.#peaks.events_per_s, per_s);
    this.#peaks.work_tokens = Math.max(
      this.#peaks.work_tokens,
      ...round.turns.map(({ steps }) => steps * model.batch_tokens),
    );
    return per_s * runs;
  }

  /** Divides what is paid for the hour's tokens as the core divides shares. */
  #addMoney({ run }: Hour, { merged, by_class }: HourTokens, part: number): void {
    const { pay } = this.#setting.fleet;
    const { factors, liars_pay, parts } = this.#setting.opinion;
    const paid = ((pay?.eur_per_billion ?? 0) * merged * part) / BILLION;
    const weights = by_class.map(({ honest, lying }, i) => factors[i] * (honest + lying * (liars_pay ?? 0)));
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    const judges = run.judges.reduce((sum, n) => sum + n, 0);
    const money = this.#money;
    money.paid += paid;
    money.owner += paid * parts.owner;
    const workers = all > 0 ? paid * parts.workers : 0;
    const validators = judges > 0 ? paid * parts.validators : 0;
    money.workers += workers;
    money.validators += validators;
    money.unearned += paid * (1 - parts.owner) - workers - validators;
    for (const [i, sum] of this.#classes.entries()) {
      sum.tokens += by_class[i].merged * part;
      if (all > 0) sum.income += (workers * weights[i]) / all;
      if (judges > 0) sum.income += (validators * run.judges[i]) / judges;
    }
  }

  #addServing({ hour, crowds }: Hour, part: number): void {
    const { serving } = this.#setting.fleet;
    if (!serving) return;
    this.#tokens.asked += serving.tokens_per_s[hour % HOURS_A_DAY] * HOUR_S * part;
    for (const [i, { serves_tokens_per_s }] of crowds.entries()) {
      const served = serves_tokens_per_s * HOUR_S * part;
      const eur = (served * serving.eur_per_million) / MILLION;
      this.#tokens.served += served;
      this.#money.serving += eur;
      this.#classes[i].served += served;
      this.#classes[i].income += eur;
    }
  }

  #note(
    { hour, crowds, round }: Hour,
    now: { tokens: number; useful: number; kwh: number; hub: number; events: number },
  ): void {
    const { serving, runs, model } = this.#setting.fleet;
    const hours = this.#hours;
    hours.present.push(crowds.reduce((sum, { present }) => sum + present, 0));
    hours.workers.push((round?.workers ?? 0) * runs);
    hours.tokens_per_s.push(now.tokens / HOUR_S);
    hours.useful_tokens_per_s.push(now.useful / HOUR_S);
    hours.served_tokens_per_s.push(crowds.reduce((sum, { serves_tokens_per_s }) => sum + serves_tokens_per_s, 0));
    hours.asked_tokens_per_s.push(serving?.tokens_per_s[hour % HOURS_A_DAY] ?? 0);
    hours.kw.push(now.kwh);
    hours.round_s.push(round?.round_s ?? 0);
    hours.events_per_s.push(now.events);
    hours.hub_bytes_per_s.push(now.hub / HOUR_S);
    hours.loss.push(lossOf(model.parameters, this.#tokens.useful / runs, this.#replicas()).loss);
  }

  #replicas(): number {
    const { count, judged } = this.#rounds;
    return count > 0 ? judged / count : 1;
  }

  result(): FleetResult {
    const fleet = this.#setting.fleet;
    const { model, runs } = fleet;
    const { count, ...sum } = this.#rounds;
    const each = (all: number): number => (count > 0 ? all / count : 0);
    const tokens = this.#tokens;
    const opinion = this.#setting.opinion;
    const energy = this.#classes.reduce(
      (all, { kwh, eur, kg }) => ({ kwh: all.kwh + kwh, eur: all.eur + eur, kg_co2: all.kg_co2 + kg }),
      { kwh: 0, eur: 0, kg_co2: 0 },
    );
    const billions = tokens.merged / BILLION;
    const per = (all: number): number => (billions > 0 ? all / billions : 0);
    return {
      ...{
        type: 'fleet',
        version: 1,
        fleet: fleet.name,
        about: fleet.about,
        days: this.#seconds / HOUR_S / HOURS_A_DAY,
      },
      hours: this.#hours,
      tokens: {
        ...tokens,
        beyond_critical: tokens.merged - tokens.useful,
        per_s: this.#seconds > 0 ? tokens.merged / this.#seconds : 0,
        ...{ critical_batch: criticalBatch(model.tokens), batch: each(sum.batch) },
      },
      rounds: {
        count,
        mean_s: each(sum.seconds),
        lost_share: sum.workers > 0 ? sum.left / sum.workers : 0,
        too_slow_share: sum.workers > 0 ? sum.too_slow / sum.workers : 0,
        ...{ handed_in: each(sum.handed_in), workers: each(sum.workers) },
        judged_share: sum.handed_in > 0 ? sum.judged / sum.handed_in : 0,
      },
      finished_after_days: this.finished ? this.#seconds / HOUR_S / HOURS_A_DAY : null,
      loss: lossOf(model.parameters, tokens.useful / runs, this.#replicas()),
      bytes: this.#bytes,
      bytes_a_worker_round: {
        ...{ up: sum.handed_in > 0 ? sum.up / sum.handed_in : 0, down: sum.workers > 0 ? sum.down / sum.workers : 0 },
        dense: DENSE_BYTES * model.parameters,
      },
      energy: {
        ...energy,
        kwh_per_billion_tokens: per(energy.kwh),
        eur_per_billion_tokens: per(energy.eur),
        kg_co2_per_billion_tokens: per(energy.kg_co2),
      },
      money: this.#money,
      classes: this.#classes.map((one, i) => this.#classResult(one, i)),
      judging: {
        ...{
          repeats: opinion.repeats,
          looks: opinion.looks,
          appeals: opinion.appeals,
          caught_share: opinion.caught_share,
        },
        ...{ honest_refused_share: opinion.honest_refused_share, liars_pay: opinion.liars_pay },
        lying_part: opinion.lying_part,
        ...{ judges_here: each(sum.judges) * runs, judges_needed: each(sum.needed) * runs },
      },
      needs: {
        events_a_round: each(sum.events),
        events_a_work: sum.handed_in > 0 ? sum.events / sum.handed_in : 0,
        ...needsOf(fleet, this.#peaks),
      },
      beyond_limits: limitsBroken(this.#peaks),
    };
  }

  #classResult({ times, present, tokens, served, kwh, eur, kg, income }: ClassSum, i: number): ClassResult {
    const { name, share, watts } = this.#setting.fleet.classes[i];
    const devices = this.#setting.fleet.devices * share;
    const device_days = present / HOUR_S / HOURS_A_DAY;
    return {
      ...{ name, devices, present: this.#seconds > 0 ? present / this.#seconds : 0, device_hours: present / HOUR_S },
      time_shares: Object.fromEntries(TIMES.map((of) => [of, present > 0 ? times[of] / present : 0])) as Times,
      ...{
        tokens,
        served_tokens: served,
        kwh,
        eur_electricity: eur,
        kg_co2: kg,
        eur_income: income,
        eur_net: income - eur,
      },
      ...{ eur_net_a_device_day: device_days > 0 ? (income - eur) / device_days : 0, watts },
    };
  }
}

// What holds of every fleet whatever it is: seconds, tokens, bytes, energy and money are counted once.
import assert from 'node:assert/strict';
import type { Fleet } from '../fleet.ts';
import { type FleetResult, FleetResultSchema, TIMES } from '../result.ts';

const RELATIVE = 1e-9;

function same(got: number, expected: number, what: string): void {
  const within = RELATIVE * Math.max(1, Math.abs(got), Math.abs(expected));
  assert.ok(Math.abs(got - expected) <= within, `${what}: expected ${expected}, got ${got}`);
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

/** Throws AssertionError with the law that a result breaks. */
export function mustObeyLaws(fleet: Fleet, result: FleetResult): void {
  FleetResultSchema.parse(result);
  const { tokens, bytes, money, energy, classes, hours, rounds, loss, judging } = result;
  for (const one of classes) {
    const shares = TIMES.map((name) => one.time_shares[name]);
    for (const [i, share] of shares.entries()) assert.ok(share >= -RELATIVE, `${one.name}: ${TIMES[i]} is ${share}`);
    if (one.device_hours > 0) same(sum(shares), 1, `the time of ${one.name}`);
    const { training, lost, judging: judges, serving } = one.time_shares;
    const busy_h = (training + lost + judges + serving) * one.device_hours;
    same(one.kwh, (busy_h * one.watts) / 1000, `energy of ${one.name} is power by time`);
    same(one.eur_net, one.eur_income - one.eur_electricity, `what is left of ${one.name}`);
  }
  same(tokens.computed, tokens.merged + tokens.lost + tokens.unjudged + tokens.refused, 'computed tokens');
  same(tokens.merged, tokens.useful + tokens.beyond_critical, 'merged tokens');
  same(sum(classes.map((one) => one.tokens)), tokens.merged, 'tokens by class');
  same(sum(classes.map((one) => one.served_tokens)), tokens.served, 'served tokens by class');
  for (const [name, value] of Object.entries(tokens)) assert.ok(value >= 0, `tokens.${name} is ${value}`);
  assert.ok(tokens.served <= tokens.asked * (1 + RELATIVE), 'no more is served than is asked for');
  assert.ok(tokens.merged <= fleet.model.tokens * fleet.runs * (1 + RELATIVE), 'no more is learned than is wanted');
  if (result.finished_after_days === null) same(sum(hours.tokens_per_s) * 3600, tokens.merged, 'tokens by hour');
  same(bytes.up, bytes.hub_in + bytes.store_in + bytes.between, 'bytes up');
  same(bytes.down, bytes.hub_out + bytes.cdn_out + bytes.between, 'bytes down');
  same(money.paid, money.workers + money.validators + money.owner + money.unearned, 'what is paid');
  same(sum(classes.map((one) => one.eur_income)), money.workers + money.validators + money.serving, 'income by class');
  same(energy.kwh, sum(classes.map((one) => one.kwh)), 'energy by class');
  same(energy.eur, sum(classes.map((one) => one.eur_electricity)), 'electricity by class');
  for (const [name, value] of Object.entries(money))
    assert.ok(value >= -RELATIVE * Math.max(1, money.paid), `money.${name} is ${value}`);
  assert.ok(rounds.lost_share >= 0 && rounds.lost_share <= 1 && rounds.judged_share <= 1 + RELATIVE);
  assert.ok(rounds.handed_in <= rounds.workers * (1 + RELATIVE), 'no more hand in than work');
  assert.ok(loss.low <= loss.loss && loss.loss <= loss.high, 'the loss is within its band');
  assert.ok(judging.honest_refused_share === 0, 'the core refuses no honest work');
  const lengths = new Set(Object.values(hours).map(({ length }) => length));
  assert.equal(lengths.size, 1, 'every series has every hour');
}

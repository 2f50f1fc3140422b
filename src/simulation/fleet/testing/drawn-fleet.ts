// Fleets that fast-check draws: any number of classes, lines, hours, stays, rules, lies, hubs and loads, small enough to run in milliseconds.
import fc from 'fast-check';
import { type Fleet, FleetSchema } from '../fleet.ts';

const between = (min: number, max: number): fc.Arbitrary<number> => fc.double({ min, max, noNaN: true });
/** Spread evenly over orders of magnitude. */
const magnitude = (from: number, to: number): fc.Arbitrary<number> =>
  between(from, to).map((exponent) => 10 ** exponent);
const share = between(0, 1);
const hours = (of: fc.Arbitrary<number>): fc.Arbitrary<number[]> => fc.array(of, { minLength: 24, maxLength: 24 });
const byHour = fc.oneof(between(0, 500), hours(between(0, 500)));
const line = fc.record({ median: magnitude(0, 4), sigma: fc.oneof(fc.constant(0), between(0, 1.5)) });
const source = fc.constant('drawn');

/** Parts of 1. */
const parts = (count: number): fc.Arbitrary<number[]> =>
  fc.array(between(0.05, 1), { minLength: count, maxLength: count }).map((weights) => {
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / all);
  });

const zones = fc
  .integer({ min: 1, max: 4 })
  .chain((count) =>
    fc
      .tuple(parts(count), fc.array(fc.integer({ min: -12, max: 14 }), { minLength: count, maxLength: count }))
      .map(([shares, offsets]) => shares.map((part, i) => ({ utc_h: offsets[i], share: part }))),
  );

/** Sometimes nobody is lent, mostly many are. */
const lent = fc.oneof({ weight: 1, arbitrary: share }, { weight: 4, arbitrary: between(0.2, 1) });

const deviceClass = fc.record({
  ...{ source, flops: magnitude(12, 16), memory_gb: magnitude(0, 3), up_mbps: line, down_mbps: line, zones },
  available: fc.record({ weekday: hours(lent), weekend: hours(lent) }),
  session: fc.record({ mean_h: magnitude(-0.5, 3), shape: between(0.4, 3) }),
  lifetime_days: magnitude(0, 4),
  // The first class always judges, so that a fleet that asks for judges has some.
  judges: between(0.01, 1),
  ...{ watts: between(0, 2000), eur_per_kwh: byHour, g_co2_per_kwh: byHour },
  serves_tokens_per_s: fc.option(magnitude(0, 4), { nil: undefined }),
});

const model = fc.record({
  ...{ source, parameters: magnitude(6, 9.3), tokens: magnitude(9, 18), memory_gb: magnitude(-1, 0) },
  ...{ inner_steps: fc.integer({ min: 1, max: 500 }), batch_tokens: magnitude(2, 5) },
});

/** A fleet of 1 to 10^9 devices. */
export const drawnFleet: fc.Arbitrary<Fleet> = fc
  .integer({ min: 1, max: 4 })
  .chain((count) =>
    fc.record({
      ...{ shares: parts(count), classes: fc.array(deviceClass, { minLength: count, maxLength: count }) },
      ...{
        days: fc.integer({ min: 1, max: 3 }),
        devices: magnitude(1, 9).map(Math.round),
        runs: fc.integer({ min: 1, max: 20 }),
      },
      series: fc.option(
        fc
          .array(magnitude(0, 8), { minLength: 1, maxLength: 3 })
          .map((sizes) => sizes.map((devices, day) => ({ day, devices }))),
        { nil: undefined },
      ),
      model,
      round: fc.record({ source, work_s: magnitude(2, 4), judging_s: magnitude(0, 3), other_s: between(0, 60) }),
      rules: fc.record({
        ...{ judges: fc.integer({ min: 0, max: 5 }), probation: fc.integer({ min: 0, max: 3 }) },
        ...{ reexecute_permille: fc.integer({ min: 0, max: 1000 }), withheld_rounds: fc.integer({ min: 0, max: 40 }) },
        ...{ owner_permille: fc.integer({ min: 0, max: 500 }), validators_permille: fc.integer({ min: 0, max: 500 }) },
      }),
      lies: fc.record({
        ...{ share: fc.oneof(fc.constant(0), between(0, 0.4)), does: share },
        from_record: fc.integer({ min: 0, max: 2 }),
      }),
      hub: fc.record({
        ...{ source, design: fc.constantFrom('step', 'bundle', 'ring'), cdn_share: share, store_share: share },
        ...{
          in_mbps: fc.option(magnitude(4, 9), { nil: undefined }),
          out_mbps: fc.option(magnitude(4, 9), { nil: undefined }),
        },
      }),
      serving: fc.option(fc.record({ source, tokens_per_s: hours(magnitude(0, 9)), eur_per_million: between(0, 10) }), {
        nil: undefined,
      }),
      pay: fc.option(fc.record({ source, eur_per_billion: between(0, 100) }), { nil: undefined }),
    }),
  )
  .map(({ shares, classes, serving, ...fleet }) => {
    const named = classes.map((one, i) => ({ ...one, name: `class ${i}`, share: shares[i] }));
    const serves = named.some(({ serves_tokens_per_s }) => serves_tokens_per_s !== undefined);
    return FleetSchema.parse({
      ...{ name: 'drawn', about: 'drawn', source: 'drawn', ...fleet, classes: named },
      ...(serves && serving && { serving }),
      committee: { workers: 6, judges: 3, rounds: 4, skip: 1 },
    });
  });

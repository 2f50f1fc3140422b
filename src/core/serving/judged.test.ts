// Judging of answers in the log: a run's owner alone publishes limits, the hub alone counts verdicts, and neither can be used again.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { MAX_EVENT_BYTES, signEvent } from '../../protocol/envelope.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { type AnswersJudged, AnswersJudgedSchema } from '../events/answers-judged.ts';
import { type LimitsPublished, LimitsPublishedSchema, type Margins } from '../events/limits-published.ts';
import { brokenState, brokenStep, stepOf } from '../invariants.ts';
import { CORE_LIMITS } from '../limits.ts';
import { ALICE, BOB, created, History, HUB, joined, name, OWNER, RUN } from '../testing/example-history.ts';

const MARGINS: Margins = {
  ...{ per_draw_micro: 500, allowance_micro: 100_000, end_margin_micro: 300_000, logprob_distance_micro: 5000 },
  ...{ usual_per_draw_micro: 100, sum_micro: 900_000 },
};
const published = (more: Partial<LimitsPublished> = {}): LimitsPublished => ({
  ...{ type: 'limits.published', version: 1, run: RUN, number: 0, quantisation: 'q8_0', margins: MARGINS },
  ...more,
});
const judged = (devices: AnswersJudged['devices'], number = 0): AnswersJudged => ({
  ...{ type: 'answers.judged', version: 1, number, devices },
});

let h: History;
beforeEach(() => {
  h = new History();
  h.happen(OWNER, created(), RUN);
  h.happen(ALICE, joined());
  h.happen(BOB, joined());
});

describe('limits', () => {
  test('are published by the owner of the run alone, and once each', () => {
    h.refused('not-the-owner', HUB, published());
    h.refused('not-the-owner', ALICE, published());
    h.refused('unknown-run', OWNER, published({ run: name('9') }));
    h.refused('wrong-limits', OWNER, published({ number: 1 }));
    h.happen(OWNER, published());
    h.refused('wrong-limits', OWNER, published());
  });

  test('of one quantisation take the place of its last ones, and leave those of others', () => {
    h.happen(OWNER, published());
    h.happen(OWNER, published({ number: 1, quantisation: 'f32', margins: { ...MARGINS, sum_micro: 200_000 } }));
    h.happen(OWNER, published({ number: 2, margins: { ...MARGINS, per_draw_micro: 700 } }));
    const sums = [...h.run.serving.margins].map(([what, of]) => [what, of.per_draw_micro, of.sum_micro]);
    assert.deepEqual(sums, [
      ['q8_0', 700, 900_000],
      ['f32', 500, 200_000],
    ]);
    h.run.serving.published = CORE_LIMITS.limits_published;
    h.refused('wrong-limits', OWNER, published({ number: CORE_LIMITS.limits_published }));
  });

  test('may be published of a run that is over, as its models are served on', () => {
    h.happen(OWNER, { type: 'run.ended', version: 1, run: RUN, round: 0, attempt: 0 });
    h.happen(OWNER, published());
  });

  test('are those of a quantisation that a run’s models are served in', () => {
    const isWell = (quantisation: string) => LimitsPublishedSchema.safeParse({ ...published(), quantisation }).success;
    const known = ['f32', 'f16', 'q8_0', 'q4_0', 'gguf', 'q4_k', ''].filter(isWell);
    assert.deepEqual(known, ['f32', 'f16', 'q8_0', 'q4_0']);
  });

  test('reach as far as their bounds, and no further', () => {
    const bounds: readonly [keyof Margins, least: number, most: number][] = [
      ['per_draw_micro', 200, 100_000],
      ['allowance_micro', 50_000, 10_000_000],
      ['end_margin_micro', 100_000, 10_000_000],
      ['logprob_distance_micro', 2000, 1_000_000],
      ['usual_per_draw_micro', 20, 100_000],
      ['sum_micro', 200_000, 1_000_000_000],
    ];
    for (const [name, least, most] of bounds) {
      const well = [least - 1, least, most, most + 1].map(
        (value) => LimitsPublishedSchema.safeParse(published({ margins: { ...MARGINS, [name]: value } })).success,
      );
      assert.deepEqual(well, [false, true, true, false], name);
    }
  });

  test('that would refuse honest engines, or nobody, have no form', () => {
    for (const [name, value] of Object.entries(MARGINS)) {
      for (const wrong of [0, 1, -1, 0.5, value + 0.5, 1e10]) {
        const margins = { ...MARGINS, [name]: wrong };
        assert.equal(LimitsPublishedSchema.safeParse(published({ margins })).success, false, `${name} ${wrong}`);
      }
    }
  });
});

describe('verdicts on answers', () => {
  const counts = () => [...h.state.judged.devices].map(([id, { accepted, refused }]) => [id, accepted, refused]);

  test('are counted by the hub alone, and once', () => {
    h.refused('not-the-hub', OWNER, judged([[ALICE, 3, 0]]));
    h.refused('not-the-hub', ALICE, judged([[ALICE, 3, 0]]));
    h.refused('wrong-batch', HUB, judged([[ALICE, 3, 0]], 1));
    h.happen(HUB, judged([[ALICE, 3, 0]]));
    h.refused('wrong-batch', HUB, judged([[ALICE, 3, 0]]));
  });

  test('add up to the record of each device', () => {
    h.happen(HUB, judged([[ALICE, 3, 1]]));
    const rows: AnswersJudged['devices'] = [[ALICE, 2, 0], [BOB, 0, 2]]; // biome-ignore format: one line
    h.happen(HUB, judged(rows, 1));
    assert.deepEqual(counts(), [[ALICE, 5, 1], [BOB, 0, 2]]); // biome-ignore format: one line
    assert.deepEqual([h.state.judged.parts, h.state.judged.batches], [8, 2]);
  });

  test('are of devices of this log', () => {
    h.refused('unknown-device', HUB, judged([[name('9'), 1, 0]]));
    for (const stranger of ['9', 'c']) {
      const rows = [ALICE, name(stranger)].sort().map((id): [string, number, number] => [id, 1, 0]);
      h.refused('unknown-device', HUB, judged(rows));
    }
  });

  test('name each device once, in order, and never one of which nothing was judged', () => {
    const isWell = (devices: AnswersJudged['devices']) => AnswersJudgedSchema.safeParse(judged(devices)).success;
    assert.ok(isWell([[ALICE, 1, 0]]));
    for (const devices of [[], [[ALICE, 0, 0]], [[BOB, 1, 0], [ALICE, 1, 0]], [[ALICE, 1, 0], [ALICE, 1, 0]]]) // biome-ignore format: one line
      assert.ok(!isWell(devices as AnswersJudged['devices']));
    const most = CORE_LIMITS.judged_parts;
    assert.ok(isWell([[ALICE, most, most]]) && isWell([[ALICE, 0, 1]]));
    for (const [accepted, refused] of [[most + 1, 0], [0, most + 1], [-1, 2], [2, -1], [0.5, 1]]) // biome-ignore format: one line
      assert.ok(!isWell([[ALICE, accepted, refused]]), `${accepted} ${refused}`);
    const rows = (count: number) =>
      Array.from({ length: count }, (_, i): [string, number, number] => [i.toString(16).padStart(64, '0'), 1, 0]);
    assert.ok(isWell(rows(CORE_LIMITS.judged_devices)) && !isWell(rows(CORE_LIMITS.judged_devices + 1)));
  });

  test('of as many devices as may be named fit in an event', async () => {
    const most = CORE_LIMITS.judged_parts;
    const devices = Array.from({ length: CORE_LIMITS.judged_devices }, (_, i): [string, number, number] => [
      ...([i.toString(16).padStart(64, '0'), most, most] as const),
    ]);
    const bytes = await signEvent(createIdentity(), judged(devices));
    assert.ok(bytes.length <= MAX_EVENT_BYTES, `${bytes.length} bytes`);
  });

  test('that cannot be counts break an invariant, whatever their sum is', () => {
    h.happen(HUB, judged([[ALICE, 3, 1]]));
    assert.equal(brokenState(h.state), null);
    const isBroken = (accepted: number, refused: number, more: Partial<typeof h.state.judged> = {}): string | null => {
      const before = h.state.judged;
      h.state.judged = { ...before, devices: new Map([[ALICE, { accepted, refused }]]), ...more };
      const found = brokenState(h.state);
      h.state.judged = before;
      return found;
    };
    assert.match(isBroken(5, -1)!, /5 accepted and -1 refused/);
    assert.match(isBroken(-1, 5)!, /-1 accepted/);
    assert.match(isBroken(2.5, 1.5)!, /2.5 accepted/);
    assert.match(isBroken(0, 0, { parts: 0, batches: 0 })!, /0 accepted and 0 refused/);
    assert.match(isBroken(3, 1, { batches: 5 })!, /5 times 4 parts/);
  });

  test('that are lost, or that another event counts, break an invariant', () => {
    const event = h.event(HUB, judged([[ALICE, 3, 1]]));
    const before = stepOf(h.state, event);
    h.happen(HUB, judged([[ALICE, 3, 1]]));
    assert.equal(brokenStep(before, h.state, event), null);
    h.state.judged.devices.set(ALICE, { accepted: 2, refused: 1 });
    assert.match(brokenStep(before, h.state, event)!, /devices have 3/);
    assert.match(brokenState(h.state)!, /4 parts were judged/);
    const other = { ...event, body: published() };
    assert.match(brokenStep(before, h.state, other)!, /judged by another event/);
  });
});

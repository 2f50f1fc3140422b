// Who judges what: fixed seats, a draw that nobody can choose or foresee, by stake; silent judges are replaced within the round.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { sha256Hex } from '../../protocol/hash.ts';
import { bindDevice } from '../devices.ts';
import type { Rules } from '../rules.ts';
import { drawnBy, EXAMPLE_HUB } from '../testing/example-draw.ts';
import { exampleVerdict, sealFor } from '../testing/example-events.ts';
import {
  ALICE,
  BOB,
  created,
  History,
  HUB,
  joined,
  left,
  name,
  OWNER,
  RUN,
  TOKENS,
  tick,
  VERA,
  work,
} from '../testing/example-history.ts';
import { pledgeOf } from './judging.ts';
import { dutyOf, openDraw, repeatableOf } from './panel.ts';

const key = (n: number): string => sha256Hex(Uint8Array.of(n, 7));
const VALIDATORS = Array.from({ length: 10 }, (_, i) => key(i)).sort();

let h: History;
/** A run with Alice, Bob and ten validators, its first round open. */
function begin(more: Partial<Rules> = {}, validators: readonly string[] = VALIDATORS): void {
  h = new History();
  const body = created();
  assert.ok(body.type === 'run.created');
  h.openWith(validators, { rounds: 9, rules: { ...body.rules, ...more } });
}
beforeEach(() => begin());

const handIn = (): string[] => [ALICE, BOB].map((by) => h.happen(by, work()));
const submission = (id: string) => h.run.submissions.get(id)!;
const judgesOf = (id: string): readonly string[] => submission(id).judges;
const seal = (by: string, id: string, accepted = true) =>
  h.happen(by, sealFor(by, exampleVerdict(RUN, id, TOKENS, accepted)));

test('nobody judges before the list of work is closed, and what was drawn follows from the key of the hub alone', () => {
  const [a, b] = handIn();
  assert.deepEqual([judgesOf(a), judgesOf(b), h.run.draw], [[], [], null]);
  h.draw();
  assert.deepEqual([judgesOf(a).length, judgesOf(b).length], [3, 3]);
  const { draw } = h.run;
  const before = [judgesOf(a), judgesOf(b)];
  // Other work, in another order, with other pledges and other keys that look on: the same judges.
  begin();
  for (const by of [key(77), key(78)]) h.happen(by, joined('validator'));
  const [d, c] = [BOB, ALICE].map((by) => h.happen(by, work({ work: name('8'), pledge: name('e') })));
  h.draw();
  assert.equal(h.run.draw, draw);
  assert.deepEqual([judgesOf(c), judgesOf(d)], before);
});

test('who comes when a round is open judges nothing in it, however it was chosen; in an open run not before some openings', () => {
  const late = key(99);
  h.happen(late, joined('validator'));
  const ids = handIn();
  h.draw();
  for (const id of ids) assert.ok(!judgesOf(id).includes(late));
  assert.ok(!h.run.eligible.includes(late));
  h.judgeAll();
  h.merge();
  for (let openings = 1; openings <= 4; openings++) {
    h.openNext();
    assert.equal(h.run.eligible.includes(late), openings > 3, `${openings}`);
    const { round, model: base } = h.run;
    for (const by of [ALICE, BOB]) h.happen(by, work({ round, base }));
    h.judgeAll();
    h.merge();
  }
  h.happen(late, left(late));
  h.happen(late, joined('validator', 1));
  h.openNext();
  assert.ok(!h.run.eligible.includes(late), 'a seat is for who stays');
});

test('where nobody may judge when a round opens, who comes before its work is over may', () => {
  begin({}, []);
  const [first, late] = VALIDATORS;
  h.happen(first, joined('validator'));
  const ids = handIn();
  assert.deepEqual(h.run.eligible, [first]);
  h.happen(late, joined('validator'));
  h.draw();
  for (const id of ids) assert.deepEqual(judgesOf(id), [first]);
});

test('who has no stake where the rules name validators has no seat, also where nobody else is here', () => {
  begin({ validators: [{ account: VERA, stake: 1 }] }, [VERA]);
  assert.deepEqual(h.run.eligible, [VERA]);
  h.refused('no-stake', key(1), joined('validator'));
});

test('judges are drawn by stake, not by how many keys it stands behind', () => {
  const [rich, ...poor] = VALIDATORS;
  const validators = VALIDATORS.map((account) => ({ account, stake: account === rich ? 91 : 1 }));
  begin({ validators, judges: 1 });
  const ids = handIn();
  h.draw();
  let drawn = 0;
  for (let i = 0; i < 400; i++) {
    h.run.draw = key(i) + key(i + 1);
    if (openDraw(h.state, h.run)(submission(ids[0]), 1)[0] === rich) drawn++;
  }
  assert.ok(drawn > 400 * 0.85 && drawn < 400 * 0.97, `${drawn} of 400 for 91 % of the stake`);
  assert.equal(poor.length, 9);
});

test("a worker's own account judges it last", () => {
  h = new History();
  const own = VALIDATORS.slice(0, 5);
  for (const id of own) bindDevice(h.state, id, { owner: ALICE, expires_ms: 1e9 });
  const { state } = h;
  begin({ judges: 5 });
  for (const [id, device] of state.devices) bindDevice(h.state, id, device);
  const [a, b] = handIn();
  h.draw();
  assert.ok(judgesOf(a).every((id) => !own.includes(id)));
  assert.ok(judgesOf(b).some((id) => own.includes(id)));
});

test('whoever leaves without a verdict, or says nothing for half of the time, makes room within the round; who has sealed stays', () => {
  const [a] = handIn();
  h.draw();
  const [first, second, third] = judgesOf(a);
  seal(first, a);
  h.happen(second, left(second));
  assert.ok(judgesOf(a).includes(first) && judgesOf(a).includes(third) && !judgesOf(a).includes(second));
  assert.equal(judgesOf(a).length, 3);
  h.happen(HUB, tick(2000));
  h.happen(HUB, tick(2199));
  assert.ok(judgesOf(a).includes(third));
  h.happen(HUB, tick(2200));
  const now = judgesOf(a);
  assert.ok(now.length === 3 && now.includes(first) && !now.includes(third) && !now.includes(second));
  h.refused('not-assigned', third, sealFor(third, exampleVerdict(RUN, a, TOKENS)));
});

test('where nobody can take a place, who is silent keeps it', () => {
  begin({}, VALIDATORS.slice(0, 3));
  const [a] = handIn();
  h.draw();
  const before = judgesOf(a);
  h.happen(HUB, tick(2000));
  h.happen(HUB, tick(2300));
  assert.deepEqual(judgesOf(a), before);
  seal(before[0], a);
});

describe('who repeats what', () => {
  const judges = VALIDATORS.slice(0, 3);
  const veteran = {
    ...{ worker: ALICE, judges, reexecute_permille: 200, probation: 1 },
    ...{ consecutive_valid: 1000, bond_permille: 1_000_000, appealed: false },
  };
  const draws = Array.from({ length: 3000 }, (_, i) => sha256Hex(Uint8Array.of(i >> 8, i & 255)));
  const shares = (more: object, draw: string) =>
    judges.map((id) => dutyOf({ ...veteran, ...more, draw }, id).repeat_permille);

  test('everybody all of what is appealed, and of what a newcomer hands in', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        for (const more of [{ appealed: true }, { consecutive_valid: 0 }, { probation: 1001 }, { bond_permille: 38 }]) {
          assert.deepEqual(shares(more, sha256Hex(bytes)), [1000, 1000, 1000]);
        }
      }),
    );
  });

  test('one judge of other work, any of them, as often as the rules say, and half of the time only a beginning', () => {
    const duties = draws.flatMap((draw) => [shares({}, draw)]);
    assert.ok(duties.every((each) => each.filter((part) => part > 0).length <= 1));
    const parts = duties.flatMap((each) => each.filter((part) => part > 0));
    assert.ok(parts.length > 530 && parts.length < 670, `${parts.length} of 3000 at a fifth`);
    for (const place of judges.keys()) {
      const part = duties.filter((each) => each[place] > 0).length / parts.length;
      assert.ok(part > 0.27 && part < 0.4, `${part}`);
    }
    const beginnings = parts.filter((part) => part < 1000);
    assert.ok(beginnings.length > 0.42 * parts.length && beginnings.length < 0.58 * parts.length);
    const middle = beginnings.reduce((sum, part) => sum + part, 0) / beginnings.length;
    assert.ok(middle > 440 && middle < 560 && Math.min(...beginnings) < 50 && Math.max(...beginnings) > 950);
  });

  test('where one is not enough, one or two for certain, and they repeat all of it', () => {
    for (const [bond_permille, surely, part] of [
      [250, 1, 0.6],
      [100, 2, 0.27],
    ]) {
      const duties = draws.map((draw) => shares({ bond_permille }, draw));
      assert.ok(duties.flat().every((each) => each === 0 || each === 1000));
      const counts = duties.map((each) => each.filter((one) => one > 0).length);
      assert.ok(counts.every((count) => count === surely || count === surely + 1));
      const more = counts.filter((count) => count > surely).length / counts.length;
      assert.ok(Math.abs(more - part) < 0.04, `${more} at ${bond_permille}`);
    }
  });

  test('one judge looks, any of them, and never the one that alone repeats', () => {
    const duties = draws.map((draw) => judges.map((id) => dutyOf({ ...veteran, draw }, id)));
    assert.ok(duties.every((each) => each.filter(({ looks }) => looks).length === 1));
    assert.ok(duties.flat().every(({ looks, repeat_permille }) => !looks || repeat_permille === 0));
    for (const place of judges.keys()) {
      const part = duties.filter((each) => each[place].looks).length / duties.length;
      assert.ok(part > 0.3 && part < 0.37, `${part}`);
    }
    assert.ok(dutyOf({ ...veteran, judges: judges.slice(1, 2), draw: draws[0] }, judges[1]).looks, 'a lone judge');
    assert.ok(!dutyOf({ ...veteran, draw: draws[0] }, VALIDATORS[4]).looks, 'who is no judge');
  });

  test('who is no judge repeats nothing; places are drawn for each judge', () => {
    const draw = draws[0];
    const certain = { ...veteran, reexecute_permille: 999, draw };
    assert.equal(dutyOf(certain, VALIDATORS[4]).repeat_permille, 0);
    const places = draws.flatMap((other) => judges.map((id) => dutyOf({ ...veteran, draw: other }, id).place));
    assert.ok(places.every((place) => place >= 0 && place < 1));
    assert.equal(new Set(places).size, places.length);
    const middle = places.reduce((sum, place) => sum + place, 0) / places.length;
    assert.ok(Math.abs(middle - 0.5) < 0.02);
  });
});

test('a plant tries who was to look at it, or to repeat of it, and not who was to see its form alone', () => {
  begin({ probation: 1, reexecute_permille: 0, withheld_rounds: 20 });
  handIn();
  h.judgeAll();
  h.merge();
  for (const appealed of [false, true]) {
    h.openNext();
    const { round, model: base } = h.run;
    const pledge = pledgeOf(OWNER, name('9'), false);
    const planted = h.happen(ALICE, work({ round, base, pledge }));
    const other = h.happen(BOB, work({ round, base }));
    h.draw();
    const duties = new Map(judgesOf(planted).map((id) => [id, dutyOf(repeatableOf(h.run, submission(planted)), id)]));
    const [finder] = judgesOf(planted);
    h.judgeAll((judge, id) => ({
      accepted: !(appealed && id === planted && judge === finder && !submission(id).first),
    }));
    const said = [...submission(planted).verdicts.keys()];
    assert.equal(submission(planted).first !== null, appealed);
    assert.ok(submission(other).verdicts.size > 0);
    const before = new Map(said.map((id) => [id, h.run.peers.get(id)!.plants_wrong]));
    h.merge();
    h.happen(OWNER, {
      type: 'plant.revealed',
      version: 1,
      run: RUN,
      submission: planted,
      salt: name('9'),
      accepted: false,
    });
    const wrong = said.filter((id) => h.run.peers.get(id)!.plants_wrong > before.get(id)!);
    const tried = said.filter((id) => appealed || duties.get(id)!.looks || duties.get(id)!.repeat_permille > 0);
    assert.deepEqual(wrong, tried);
    assert.ok(appealed ? wrong.length > 3 : wrong.length > 0 && wrong.length < 3, `${wrong.length} of ${said.length}`);
  }
});

test('a proof that is none draws nobody', () => {
  handIn();
  const right = drawnBy(EXAMPLE_HUB, h.run);
  h.refused('wrong-draw', HUB, { ...right, proof: '07'.repeat(80) });
  h.happen(HUB, right);
});

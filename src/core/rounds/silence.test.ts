// Judges who keep silent: others take their places, nobody asks them twice in a round, and who does it again within a hundred rounds waits.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sha256Hex } from '../../protocol/hash.ts';
import { bindDevice } from '../devices.ts';
import type { VerdictGiven } from '../events/verdict-given.ts';
import { CORE_LIMITS } from '../limits.ts';
import { exampleRules, exampleVerdict, sealFor } from '../testing/example-events.ts';
import { ALICE, BOB, History, HUB, RUN, TOKENS, tick, work } from '../testing/example-history.ts';

const key = (n: number): string => sha256Hex(Uint8Array.of(n, 5));
const VALIDATORS = Array.from({ length: 5 }, (_, i) => key(i)).sort();
const EMISSION = { shares_per_round: 100_000, halving_rounds: 0, owner_permille: 180, workers_permille: 410 };

let h: History;
function begin(count: number): void {
  h = new History();
  const rules = exampleRules({ ...EMISSION, validators_permille: 410 }, { withheld_rounds: 40 });
  h.openWith(VALIDATORS.slice(0, count), { rounds: 1000, checkpoint_every: 1000, rules });
}
beforeEach(() => begin(5));

const peer = (id: string) => h.run.peers.get(id)!;
function handIn(): string[] {
  const { round, attempt, model: base } = h.run;
  const ids = [ALICE, BOB].map((by) => h.happen(by, work({ round, attempt, base })));
  h.draw();
  return ids;
}
type Says = (judge: string, submission: string) => Partial<VerdictGiven> | null;
/** Judges speak, and show what they have sealed, as soon as they are asked; time passes while others do not. */
function judge(says: Says, shows = true): void {
  let said: [string, VerdictGiven][] = [];
  while (h.run.phase === 'judging' || h.run.phase === 'revealing') {
    const { submissions, appeals, phase } = h.run;
    if (phase === 'judging') {
      const asked = [...submissions.values()].filter(({ first }) => !appeals || first !== null);
      for (const { id, judges, first, seals } of asked) {
        for (const by of judges.filter((each) => !seals.has(each))) {
          const words = says(by, id);
          if (!words) continue;
          const appeal = first ? ({ appeal: true } as const) : {};
          said.push([by, exampleVerdict(RUN, id, TOKENS, words.accepted ?? true, { ...words, ...appeal })]);
          h.happen(by, sealFor(...said.at(-1)!));
        }
      }
    } else {
      for (const [by, verdict] of shows ? said : []) h.happen(by, verdict);
      said = [];
    }
    if (h.run.phase === phase) h.happen(HUB, tick(h.state.time_ms + 100));
  }
}
/** A round in which some say nothing. Returns those of them who were drawn. */
function playRound(mute: (judge: string) => boolean): string[] {
  const drawn = handIn().flatMap((id) => h.run.submissions.get(id)!.judges);
  judge((by) => (mute(by) ? null : {}));
  const { silent } = h.run;
  h.merge();
  assert.deepEqual(silent, [...new Set(drawn.filter(mute))].sort());
  h.openNext();
  return silent;
}
/** Rounds until a judge is drawn and says nothing. */
function untilSilent(id: string): number {
  for (;;) {
    const { round } = h.run;
    if (playRound((judge) => judge === id).length > 0) return round;
  }
}

describe('a judge who keeps silent', () => {
  test('is warned and keeps its seat; when it does so again it is suspended, for longer each time, and keeps its pay', () => {
    const [id] = VALIDATORS;
    const first = untilSilent(id);
    assert.deepEqual([peer(id).suspended_until, peer(id).strikes], [0, 0]);
    assert.equal(peer(id).warned_until, first + 1 + CORE_LIMITS.warned_rounds);
    assert.ok(h.run.eligible.includes(id));
    const second = untilSilent(id);
    assert.equal(peer(id).suspended_until, second + 3);
    assert.ok(!h.run.eligible.includes(id));
    const third = untilSilent(id);
    assert.ok(third >= second + 3);
    assert.equal(peer(id).suspended_until, third + 5);
    assert.equal(peer(id).forfeited_shares, 0);
  });

  test('is warned anew when a hundred rounds have passed', () => {
    const [id] = VALIDATORS;
    untilSilent(id);
    peer(id).warned_until = h.run.round;
    untilSilent(id);
    assert.equal(peer(id).strikes, 0);
  });

  test('is warned for its account: another device of it that keeps silent is suspended', () => {
    const [one, other] = VALIDATORS;
    for (const id of [one, other]) bindDevice(h.state, id, { owner: key(77), expires_ms: 9e12 });
    untilSilent(one);
    assert.equal(peer(one).strikes, 0);
    untilSilent(other);
    assert.equal(peer(other).strikes, 1);
  });

  test('is not asked again in the round: others take its places and its seat in the jury', () => {
    const [a] = handIn();
    const [mute, liar] = h.run.submissions.get(a)!.judges;
    judge((by, id) => {
      if (by === mute) return null;
      return by === liar && id === a ? { accepted: false, fraud: true } : {};
    });
    const { judges, first } = h.run.submissions.get(a)!;
    assert.deepEqual(h.run.silent, [mute]);
    assert.equal(first?.size, 3, 'another has judged in its place');
    assert.deepEqual(
      judges,
      VALIDATORS.filter((id) => id !== mute),
    );
  });

  test('is one that has sealed and does not show, too', () => {
    const ids = handIn();
    const { judges } = h.run.submissions.get(ids[0])!;
    judge(() => ({}), false);
    assert.ok(judges.every((id) => h.run.silent.includes(id)));
  });

  test('keeps its place, unwarned, where nobody else is there and its word comes before the end', () => {
    begin(3);
    const ids = handIn();
    h.happen(HUB, tick(2000));
    h.happen(HUB, tick(2300));
    assert.equal(h.run.submissions.get(ids[0])!.judges.length, 3);
    judge(() => ({}));
    assert.deepEqual(h.run.silent, []);
  });
});

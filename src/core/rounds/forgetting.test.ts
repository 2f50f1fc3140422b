// Keys that come, do nothing and go leave no trace and block nobody; what they signed is never of use again; whoever did something is remembered.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { sha256Hex } from '../../protocol/hash.ts';
import { brokenState } from '../invariants.ts';
import { CORE_LIMITS } from '../limits.ts';
import { apply } from '../reduce.ts';
import {
  ALICE,
  BOB,
  created,
  evaluated,
  History,
  HUB,
  joined,
  left,
  merged,
  name,
  OWNER,
  RUN,
  seal,
  VERA,
  verdict,
  work,
} from '../testing/example-history.ts';
import { sessionOf } from './presence.ts';

const { leaves_until_forgotten: EACH } = CORE_LIMITS;

let h: History;
let keys = 0;
beforeEach(() => {
  h = new History();
  keys = 0;
});

const newKey = (): string => sha256Hex(new TextEncoder().encode(String(keys++)));
const sessionFor = (key: string): number => sessionOf(h.run, key).session;
const happens = (author: string, body: ReturnType<typeof joined>): string | null =>
  apply(h.state, h.event(author, body))?.code ?? null;

/** New keys that come and go; returns them. */
function comeAndGo(count: number, role: 'worker' | 'validator' = 'worker'): string[] {
  return Array.from({ length: count }, () => {
    const key = newKey();
    const session = sessionFor(key);
    assert.equal(happens(key, joined(role, session)), null);
    assert.equal(happens(key, left(key, session)), null);
    return key;
  });
}

test('twenty thousand keys that come and go leave no trace, and the next newcomer is taken', () => {
  h.happen(OWNER, created(), RUN);
  h.happen(ALICE, joined());
  comeAndGo(CORE_LIMITS.peers_per_run);
  assert.ok(h.run.peers.size <= 2 * EACH + 1, `${h.run.peers.size} are remembered`);
  h.happen(BOB, joined());
  assert.equal(h.run.attendance.workers, 2);
  assert.equal(brokenState(h.state), null);
});

test('what a forgotten key has signed is of no use to anybody', () => {
  h.happen(OWNER, created(), RUN);
  const first = comeAndGo(EACH);
  comeAndGo(EACH);
  for (const key of [first[0], first[EACH - 2]]) {
    assert.ok(!h.run.peers.has(key));
    h.refused('wrong-session', key, joined('worker', 0));
    h.refused('not-present', key, left(key, 0));
  }
  // It comes again as a newcomer, and its old leave does not put it out.
  const [key] = first;
  const session = sessionFor(key);
  assert.ok(session > 0);
  h.happen(key, joined('worker', session));
  h.refused('wrong-session', key, left(key, 0));
  h.happen(key, left(key, session));
  h.refused('wrong-session', key, joined('worker', session));
  h.happen(key, joined('worker', session + 1));
});

test('the session that one of the forgotten was told stays good while a thousand others leave', () => {
  h.happen(OWNER, created(), RUN);
  const [key] = comeAndGo(2 * EACH);
  comeAndGo(EACH - 1);
  const told = sessionFor(key);
  assert.ok(!h.run.peers.has(key) && told > 0);
  // What others have used since counts: they come again, and go.
  for (const other of comeAndGo(EACH))
    if (happens(other, joined('worker', sessionFor(other))) === null) happens(other, left(other, sessionFor(other)));
  h.refused('wrong-session', key, joined('worker', sessionFor(key) + 1));
  h.happen(key, joined('worker', told));
});

test('whoever never came begins at 0, whoever was forgotten meanwhile', () => {
  h.happen(OWNER, created(), RUN);
  comeAndGo(4 * EACH);
  for (const key of [ALICE, BOB, VERA]) {
    assert.equal(sessionFor(key), 0);
    h.refused('wrong-session', key, joined('worker', 1));
    h.happen(key, joined('worker', 0));
  }
});

describe('who is remembered', () => {
  /** Twice as many as it takes. */
  const flood = (): void => void comeAndGo(3 * EACH);

  test('who is here, and who has handed in or judges in the open round', () => {
    h.openRound();
    const submission = h.happen(ALICE, work());
    h.happen(ALICE, left(ALICE));
    h.happen(VERA, left(VERA));
    h.run.submissions.get(submission)!.judges = [VERA]; // as one that has left without a word stays until another is drawn
    flood();
    for (const key of [ALICE, BOB, VERA]) assert.ok(h.run.peers.has(key), key);
    assert.equal(sessionFor(BOB), 0);
  });

  test('who has sealed a verdict, has measured, or whose work was merged; not whose work was refused', () => {
    h.openRound();
    const [good, bad] = [h.happen(ALICE, work()), h.happen(BOB, work({ work: name('9') }))];
    h.draw();
    h.happen(VERA, seal(VERA, good));
    h.happen(VERA, seal(VERA, bad, false));
    h.happen(VERA, verdict(good));
    h.happen(VERA, verdict(bad, false));
    h.happen(HUB, merged([good]));
    const judge = name('c');
    h.happen(judge, joined('validator'));
    h.happen(judge, evaluated(1, h.run.model));
    for (const key of [ALICE, BOB, VERA, judge]) h.happen(key, left(key));
    assert.equal(h.run.peers.get(BOB)!.refused_submissions, 1);
    flood();
    assert.deepEqual(
      [ALICE, BOB, VERA, judge].map((key) => h.run.peers.has(key)),
      [true, false, true, true],
    );
    assert.equal(sessionFor(ALICE), 1);
  });

  test('whom somebody trusts with shares, and who may still lose some', () => {
    h.happen(OWNER, created(), RUN);
    for (const key of [ALICE, BOB, VERA]) h.happen(key, joined(key === VERA ? 'validator' : 'worker'));
    h.run.shares.set(OWNER, 5);
    h.run.unearned_shares = -5;
    h.run.locks.push({ account: OWNER, device: VERA, shares: 5, free_round: null });
    h.run.withheld.set(BOB, []);
    for (const key of [ALICE, BOB, VERA]) apply(h.state, h.event(key, left(key)));
    flood();
    assert.deepEqual(
      [ALICE, BOB, VERA].map((key) => h.run.peers.has(key)),
      [false, true, true],
    );
  });
});

test('only who is here or has done something counts against the limit', () => {
  h.happen(OWNER, created(), RUN);
  for (let i = 0; i < CORE_LIMITS.peers_per_run - 1; i++) assert.equal(happens(newKey(), joined()), null);
  comeAndGo(5);
  assert.ok(h.run.peers.size > CORE_LIMITS.peers_per_run);
  h.happen(ALICE, joined());
  h.refused('too-many-peers', BOB, joined());
  h.happen(ALICE, left(ALICE));
  h.happen(BOB, joined());
});

test('no session of a key is ever taken twice, whoever comes, goes and is forgotten', () => {
  const few = [ALICE, BOB, name('c')];
  const step = fc.oneof(
    fc.record({ key: fc.constantFrom(...few), session: fc.nat(6) }),
    fc.record({ key: fc.constantFrom(...few), session: fc.constant('told' as const) }),
    fc.constantFrom('leave' as const, 'flood' as const),
  );
  let forgotten = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 25 }), (steps) => {
      h = new History();
      h.happen(OWNER, created(), RUN);
      const taken = new Set<string>();
      for (const what of steps) {
        if (what === 'flood') {
          const before = few.filter((key) => h.run.peers.has(key)).length;
          comeAndGo(EACH);
          forgotten += before - few.filter((key) => h.run.peers.has(key)).length;
        } else if (what === 'leave') {
          for (const key of few)
            if (sessionOf(h.run, key).present) assert.equal(happens(key, left(key, sessionFor(key))), null);
        } else {
          const { key } = what;
          const told = sessionFor(key);
          const session = what.session === 'told' ? told : what.session;
          const here = sessionOf(h.run, key).present;
          const refusal = happens(key, joined('worker', session));
          if (refusal === null) assert.ok(!taken.has(`${key} ${session}`), 'once more');
          if (what.session === 'told' && !here) assert.equal(refusal, null, 'who is told a session gets it');
          if (refusal === null) taken.add(`${key} ${session}`);
        }
      }
      assert.equal(brokenState(h.state), null);
    }),
    { numRuns: 40 },
  );
  assert.ok(forgotten > 0, 'nobody was forgotten: this shows nothing');
});

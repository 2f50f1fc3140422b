// What a validator is told of a round's work: nothing before the list is closed, then all of the list and its own draw, and each change once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Submission } from '../core/state.ts';
import { ALICE, BOB, History, name, seal, VERA, verdict, work } from '../core/testing/example-history.ts';
import { decodeFromHub, WORK_LIMITS, type WorkPiece } from '../protocol/from-hub.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { openWorkNews } from './work-news.ts';

const WIM = name('c');
const XENA = name('d');

/** A round of alice's and bob's work, of which each submission has one judge. */
function round() {
  const history = new History();
  history.openWith([VERA, WIM, XENA], { rules: oneJudge });
  const news = openWorkNews<{ peer: string; watches: string | null }>();
  const connected = (peer: string, watches: string | null = null) => {
    const connection = { peer, watches };
    return (): WorkPiece[] => {
      const frames = news.framesFor(history.run, connection);
      for (const frame of frames) assert.ok(frame.length <= WIRE_LIMITS.message_bytes);
      return frames.map((frame) => decodeFromHub(frame) as WorkPiece);
    };
  };
  return { history, connected };
}
const oneJudge = {
  emission: {
    ...{ shares_per_round: 1000, halving_rounds: 2 },
    ...{ owner_permille: 180, workers_permille: 410, validators_permille: 410 },
  },
  ...{ judges: 1, withheld_rounds: 0, probation: 10, reexecute_permille: 50, notice_rounds: 1, validators: [] },
};
const listed = (pieces: readonly WorkPiece[]): string => pieces.map((piece) => bytesToHex(piece.listed)).join('');
const drawn = (pieces: readonly WorkPiece[]) => pieces.flatMap((piece) => piece.drawn);

test('nobody is told of work before its list is closed; then each judge of the list and of what it judges, and who watches a worker of its work', () => {
  const { history, connected } = round();
  const judges = [VERA, WIM, XENA].map((id) => [id, connected(id)] as const);
  const watcher = connected(name('9'), BOB);
  const [alice, bob] = [history.happen(ALICE, work()), history.happen(BOB, work({ work: name('4') }))];
  for (const [, hear] of judges) assert.deepEqual(hear(), []);
  history.draw();
  const list = [ALICE, history.run.submissions.get(alice)!.body.work, BOB, name('4')].join('');
  const told = judges.map(([id, hear]) => [id, hear()] as const);
  for (const [id, pieces] of told) {
    assert.equal(listed(pieces), list);
    assert.deepEqual([pieces[0].from, pieces[0].round, pieces[0].attempt], [0, 0, 0]);
    const own = [...history.run.submissions.values()].filter((one) => one.judges.includes(id));
    assert.deepEqual(
      drawn(pieces).map((view) => view.id),
      own.map((one) => one.id),
    );
  }
  const all = told.flatMap(([, pieces]) => drawn(pieces));
  assert.deepEqual(
    all.map(({ id, place }) => [id, place]).sort(),
    [
      [alice, 0],
      [bob, 1],
    ].sort(),
  );
  assert.deepEqual(
    drawn(watcher()).map(({ id, worker }) => [id, worker]),
    [[bob, BOB]],
  );
  for (const [, hear] of judges) assert.deepEqual(hear(), [], 'each thing once');
});

test("a judge is told what it has sealed and shown, of others' verdicts nothing, and that another judges now", () => {
  const { history, connected } = round();
  const [alice] = [history.happen(ALICE, work()), history.happen(BOB, work({ work: name('4') }))];
  history.draw();
  const submission = history.run.submissions.get(alice)!;
  const [judge] = submission.judges;
  const hear = connected(judge);
  hear();
  const watcher = connected(name('9'), ALICE);
  watcher();
  history.happen(judge, seal(judge, alice));
  const own = (pieces: WorkPiece[]) => drawn(pieces).filter(({ id }) => id === alice);
  assert.deepEqual(
    own(hear()).map(({ sealed, shown }) => [sealed, shown]),
    [[[judge], []]],
  );
  assert.deepEqual(own(watcher()), []);
  const other = [...history.run.submissions.values()].find(({ id }) => id !== alice)!;
  if (other.judges[0] === judge) history.happen(judge, seal(judge, other.id));
  else history.happen(other.judges[0], seal(other.judges[0], other.id));
  assert.equal(history.run.phase, 'revealing');
  hear();
  history.happen(judge, verdict(alice));
  assert.deepEqual(
    own(hear()).map(({ sealed, shown }) => [sealed, shown]),
    [[[judge], [judge]]],
  );
  submission.judges = [name('f')];
  assert.deepEqual(
    own(hear()).map(({ judges }) => judges),
    [[name('f')]],
  );
  assert.deepEqual(hear(), []);
});

test('a connection that comes later is told everything, another attempt starts over, and a merge is told of nothing', () => {
  const { history, connected } = round();
  history.happen(ALICE, work());
  history.happen(BOB, work({ work: name('4') }));
  history.draw();
  const [submission] = history.run.submissions.values();
  submission.seals.set(name('f'), name('0'));
  submission.verdicts.set(name('f'), verdict(submission.id));
  const judge = submission.judges[0];
  const hear = connected(judge);
  const first = hear();
  assert.deepEqual(connected(judge)(), first);
  assert.deepEqual(
    drawn(first)
      .filter(({ id }) => id === submission.id)
      .map(({ sealed, shown }) => [sealed, shown]),
    [[[], []]],
    "others' verdicts are not shown",
  );
  history.run.attempt = 1;
  history.run.submissions.delete(submission.id);
  const again = hear();
  assert.deepEqual([again[0].from, again[0].attempt, listed(again).length], [0, 1, 2 * WORK_LIMITS.entry_bytes]);
  history.run.phase = 'merging';
  assert.deepEqual(connected(VERA)(), []);
});

test('thousands of works are told in pieces that fit, all of them once', () => {
  const { history, connected } = round();
  history.happen(ALICE, work());
  history.happen(BOB, work({ work: name('4') }));
  history.draw();
  const [one] = history.run.submissions.values();
  const judges = Array.from({ length: 16 }, (_, i) => (i === 0 ? VERA : i.toString(16).padStart(64, '0')));
  history.run.submissions.clear();
  for (let i = 0; i < 9000; i++) {
    const id = i.toString(16).padStart(64, '0');
    history.run.submissions.set(id, { ...one, id, judges: i % 3 === 0 ? judges : [] } as Submission);
  }
  const pieces = connected(VERA)();
  assert.equal(listed(pieces).length, 9000 * 2 * WORK_LIMITS.entry_bytes);
  let at = 0;
  for (const { from, listed: part } of pieces) {
    assert.equal(from, at);
    at += part.length / WORK_LIMITS.entry_bytes;
  }
  assert.deepEqual(
    drawn(pieces).map(({ place }) => place),
    Array.from({ length: 3000 }, (_, i) => i * 3),
  );
});

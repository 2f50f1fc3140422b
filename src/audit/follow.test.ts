// An audit follows a run to the logs that it came from: what it brought is believed only as far as they are true, and what could not be read is said.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '@ipld/dag-cbor';
import { hashOfMovedRun } from '../core/moving/moved-run.ts';
import { AuditFailure } from './public-log.ts';
import { auditOf, type Entry, ExampleLog, logOf, publicLogOf, signed } from './testing/example-log.ts';
import { arrivalOf, arrive, createdIn, depart, goOn, move, openerOf, urlOf } from './testing/moved-log.ts';

async function played(rounds: number): Promise<ExampleLog> {
  const log = new ExampleLog();
  await log.begin();
  for (let i = 0; i < rounds; i++) await log.playRound();
  return log;
}

/** A run of two rounds at A that goes on for two more at B. */
const a = await played(2);
const b = new ExampleLog(3, a);
const luggage = await move(a, b);
for (let i = 0; i < 2; i++) await b.playRound();
// What the first log takes in afterwards does not matter.
await a.tick(1000);

async function pastOf(
  log: ExampleLog,
  from: ExampleLog,
  openOther: ReturnType<typeof openerOf>,
): Promise<AuditFailure> {
  const found: unknown = await auditOf(await publicLogOf(log.log), { openOther }).catch((error) => error);
  assert.ok(found instanceof AuditFailure, `expected wrong-past, got ${found}`);
  assert.equal(found.code, 'wrong-past', found.message);
  assert.ok(found.message.includes(log.hub.id), found.message);
  assert.ok(found.message.includes(from.hub.id), found.message);
  return found;
}

test('a run that came from another log: that log is replayed up to where it let the run go', async () => {
  const asked: string[] = [];
  const { moves, runs, unchecked, cannot_tell } = await auditOf(await publicLogOf(b.log), {
    openOther: openerOf([a.log], asked),
  });
  const index = b.entries.findIndex(({ event }) => event.body.type === 'run.arrived');
  assert.deepEqual(moves, {
    came: [
      {
        ...{ run: a.run, name: 'x', into: b.hub.id, index, from: a.hub.id, url: urlOf(a), merged_rounds: 2 },
        ...{ entries: luggage.index + 1, followed: true, reason: null },
      },
    ],
    gone: [],
  });
  assert.deepEqual([asked, runs], [[a.hub.id], 1]);
  assert.ok(!unchecked.some((what) => what.includes('past')));
  assert.ok(cannot_tell.some((what) => what.includes(`potluck audit ${urlOf(a)}`)));
});

test('the log that let it go says where it is, and counts it no more', async () => {
  const { moves, runs, shares, unchecked } = await auditOf(await publicLogOf(a.log));
  assert.deepEqual(moves, {
    came: [],
    gone: [{ run: a.run, name: 'x', hub: b.hub.id, url: urlOf(b), index: luggage.index, merged_rounds: 2 }],
  });
  assert.deepEqual([runs, shares], [0, { emitted: 0, held: 0, unearned: 0 }]);
  assert.deepEqual(unchecked, ['model versions (not asked for)']);
  const there = await auditOf(await publicLogOf(b.log));
  assert.deepEqual([there.runs, there.shares.emitted], [1, 4000]);
});

test('a log that cannot be read, or is not asked for, is not checked', async () => {
  const log = await publicLogOf(b.log);
  const said = async (options: Parameters<typeof auditOf>[1]) => {
    const { moves, unchecked } = await auditOf(log, options);
    assert.deepEqual(
      moves.came.map(({ followed }) => followed),
      [false],
    );
    const [past] = unchecked.filter((what) => what.startsWith(`the past of run ${a.run}, 2 rounds`));
    assert.ok(past.includes(a.hub.id) && past.includes(urlOf(a)), past);
    return past;
  };
  assert.match(await said({}), /not asked for/);
  assert.match(await said({ openOther: openerOf([]) }), /nothing answers at/);
  const other = async () => {
    throw new AuditFailure('bad-checkpoint', 'the checkpoint: expected a log of another hub');
  };
  assert.match(await said({ openOther: other }), /expected a log of another hub/);
  const short = await logOf(a.hub, a.entries.slice(0, luggage.index));
  assert.match(await said({ openOther: openerOf([short], [], true) }), /an older copy, or was cut short/);
});

test('a hub whose own log is shorter than what it has signed has cut it short', async () => {
  const short = await logOf(a.hub, a.entries.slice(0, luggage.index));
  const { details, message } = await pastOf(b, a, openerOf([short]));
  assert.equal(details.reason, 'omitted');
  assert.match(message, /cut short/);
});

/** One share more for the first account, and one less for the second. */
function withShiftedShares(bytes: Uint8Array): Uint8Array {
  const carried = decode<{ shares: [string, number][] }>(bytes);
  carried.shares[0][1]++;
  carried.shares[1][1]--;
  return encode(carried);
}

test('a hub that lets a run go with shares that nobody has earned is found by whoever audits where it went', async () => {
  const from = await played(2);
  const into = new ExampleLog(3, from);
  const honest = await depart(from, into);
  const bytes = withShiftedShares(honest.bytes);
  const { body } = from.entries[honest.index].event;
  assert.ok(body.type === 'run.moved');
  const lie = await signed(from.hub, { ...body, state: hashOfMovedRun(bytes) });
  const lying = await logOf(from.hub, [...from.entries.slice(0, honest.index), lie]);
  // The second log takes it in: it cannot know.
  await arrive(into, await arrivalOf(from, honest, lying), { ...honest, bytes });
  await goOn(into);
  await into.playRound();
  const alone = await auditOf(await publicLogOf(into.log));
  assert.equal(alone.unchecked.filter((what) => what.includes('the past of run')).length, 1);
  const { details, message } = await pastOf(into, from, openerOf([lying]));
  assert.deepEqual([details.reason, details.refusal, details.at], ['refused', 'wrong-state', honest.index]);
  assert.equal(
    details.index,
    into.entries.findIndex(({ event }) => event.body.type === 'run.arrived'),
  );
  assert.match(message, /expected [0-9a-f]{64}, got [0-9a-f]{64}/);
});

test('a hub that shows others a log in which the run went elsewhere has contradicted itself', async () => {
  const elsewhere = new ExampleLog(3, a);
  const [leaving, moved] = a.entries.slice(luggage.index - 1).map(({ event: { body } }) => body);
  assert.ok(leaving.type === 'run.leaving' && moved.type === 'run.moved');
  const entries: Entry[] = [
    ...a.entries.slice(0, luggage.index - 1),
    await signed(a.owner, { ...leaving, to: elsewhere.hub.id }),
    await signed(a.hub, { ...moved, to: elsewhere.hub.id }),
  ];
  const { details, message } = await pastOf(b, a, openerOf([await logOf(a.hub, entries)]));
  assert.equal(details.reason, 'diverged');
  assert.ok(message.includes(`a run.moved to the hub ${elsewhere.hub.id}`), message);
});

test('what a hub has written since the run left is the business of its own audit', async () => {
  const later = await logOf(a.hub, [...a.entries, a.entries[4]]);
  await assert.rejects(auditOf(await publicLogOf(later)), { code: 'refused' });
  const { moves } = await auditOf(await publicLogOf(b.log), { openOther: openerOf([later]) });
  assert.ok(moves.came.every(({ followed }) => followed));
});

test('an entry that was changed later', async () => {
  const entries = [...a.entries];
  entries[3] = entries[4];
  const { details } = await pastOf(b, a, openerOf([await logOf(a.hub, entries)]));
  assert.deepEqual([details.reason, details.at], ['refused', 4]);
});

test('on to a third log, and back to the first: the whole way is followed, and each log once a step', async () => {
  const first = await played(1);
  const created = createdIn(first);
  const second = new ExampleLog(3, first);
  await move(first, second);
  await second.playRound();
  await move(second, first, created);
  await first.playRound();
  const third = new ExampleLog(3, first);
  await move(first, third, created);
  await third.playRound();
  const asked: string[] = [];
  const log = await publicLogOf(third.log);
  const { moves } = await auditOf(log, { openOther: openerOf([first.log, second.log], asked) });
  const way = moves.came.map(({ into, from, merged_rounds, followed }) => [into, from, merged_rounds, followed]);
  const [one, two, three] = [first, second, third].map(({ hub }) => hub.id);
  assert.deepEqual(way, [
    [three, one, 3, true],
    [one, two, 2, true],
    [two, one, 1, true],
  ]);
  assert.deepEqual(asked, [one, two, one]);
  // The log under audit is at hand for the part of the way that leads through it.
  const back = await auditOf(await publicLogOf(first.log), { openOther: openerOf([second.log]) });
  assert.deepEqual(
    back.moves.came.map(({ into, from, followed }) => [into, from, followed]),
    [
      [one, two, true],
      [two, one, true],
    ],
  );
  assert.deepEqual(
    back.moves.gone.map(({ hub }) => hub),
    [three],
  );
  // Two arrivals from one log cost one replay, and what lies between them is followed once.
  const asked_again: string[] = [];
  await move(third, second, created);
  await move(second, first, created);
  await move(first, second, created);
  const twice = await auditOf(await publicLogOf(second.log), {
    openOther: openerOf([first.log, third.log], asked_again),
  });
  assert.deepEqual(
    twice.moves.came.map(({ into, from, merged_rounds, followed }) => [into, from, merged_rounds, followed]),
    [
      [two, one, 1, true],
      [two, one, 4, true],
      [two, three, 4, true],
      [one, two, 4, true],
      [three, one, 3, true],
      [one, two, 2, true],
    ],
  );
  assert.deepEqual(asked_again, [one, three, one]);
  // Where the way is lost, it is said for that part alone.
  const lost = await auditOf(log, { openOther: openerOf([first.log]) });
  assert.deepEqual(
    lost.moves.came.map(({ from, followed }) => [from, followed]),
    [
      [one, true],
      [two, false],
    ],
  );
});

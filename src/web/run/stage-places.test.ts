// Who holds which stage as a page sees it in a round: those who leave stay in their place, and who comes in their stead is known by it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerView } from '../../protocol/messages.ts';
import { drawnOf, followPlaces, lossesOf, rangeWords, type StagePlaces, sumOf } from './stage-places.ts';

const ROUND = { round: 3, attempt: 0, phase: 'working' } as const;

const worker = (id: string, stage: number | null, more: Partial<PeerView> = {}): PeerView => ({
  ...{ id, name: id, role: 'worker', runtime: 'wasm', present: stage !== null, credit_amount: 0 },
  ...{ merged_submissions: 0, refused_submissions: 0, bytes_up: 0, bytes_down: 0, progress: null },
  ...(stage !== null && { stage }),
  ...more,
});
const working = (numbers: Record<string, number>, round = 3, state: 'working' | 'sending' | 'waiting' = 'working') => ({
  progress: { state, round, amount: 1, amount_per_second: 1, numbers },
});

/** What is seen of these moments of one round, one after the other. */
const seen = (...moments: PeerView[][]): StagePlaces =>
  moments.reduce<StagePlaces | null>((before, peers) => followPlaces(before, ROUND, peers), null)!;
const told = ({ places }: StagePlaces): string[] =>
  places.map(
    ({ peer, stage, fate, after }) => `${peer.name} ${stage} ${fate}${after === null ? '' : ` after ${after.name}`}`,
  );

test('who is here holds a stage, and nobody took over from anybody', () => {
  const validator = worker('vera', null, { role: 'validator', present: true });
  const places = seen([worker('ada', 0), worker('bob', 1), worker('cyd', null), validator]);
  assert.deepEqual(told(places), ['ada 0 here', 'bob 1 here']);
});

test('a device that leaves stays in its place, and the one that was moved in its stead is at both', () => {
  const before = [worker('ada', 0), worker('bob', 0), worker('cyd', 1)];
  const after = [worker('ada', 0), worker('bob', 1), worker('cyd', null)];
  assert.deepEqual(told(seen(before, after)), ['ada 0 here', 'bob 0 moved', 'cyd 1 gone', 'bob 1 here after cyd']);
  assert.deepEqual(told(seen(before, after, after)), told(seen(before, after)), 'nothing new, nothing changes');
});

test('it is the same whether the hub tells of both in one message or in two', () => {
  const left = [worker('ada', 0), worker('bob', 0), worker('cyd', null)];
  const both = [worker('ada', 0), worker('bob', 1), worker('cyd', null)];
  const places = seen([worker('ada', 0), worker('bob', 0), worker('cyd', 1)], left, both);
  assert.deepEqual(told(places).at(-1), 'bob 1 here after cyd');
});

test('of two that have left a stage each has one that took over, and no third', () => {
  const gone = [worker('ada', null), worker('bob', null)];
  const places = seen(
    [worker('ada', 0), worker('bob', 0)],
    gone,
    [...gone, worker('cyd', 0)],
    [...gone, worker('cyd', 0), worker('dan', 0), worker('eve', 0)],
  );
  assert.deepEqual(told(places).slice(2), ['cyd 0 here after ada', 'dan 0 here after bob', 'eve 0 here']);
});

test('who comes to a stage takes over from one that left this stage, and no other', () => {
  const gone = [worker('ada', null), worker('bob', null)];
  const places = seen([worker('ada', 0), worker('bob', 1)], [...gone, worker('cyd', 1), worker('dan', 2)]);
  assert.deepEqual(told(places).slice(2), ['cyd 1 here after bob', 'dan 2 here']);
  assert.deepEqual(told(seen([worker('ada', 0, { present: false })])), [], 'who is not here holds none');
});

test('one that comes back is here again, at its own stage or at another', () => {
  const there = [worker('ada', 0), worker('bob', 1)];
  const away = [worker('ada', 0), worker('bob', null)];
  assert.deepEqual(told(seen(there, away, there)), ['ada 0 here', 'bob 1 here']);
  const elsewhere = [worker('ada', 0), worker('bob', 0)];
  assert.deepEqual(told(seen(there, away, elsewhere)), ['ada 0 here', 'bob 1 moved', 'bob 0 here']);
  assert.deepEqual(told(seen(there, elsewhere, away)), ['ada 0 here', 'bob 1 moved', 'bob 0 gone']);
});

test('a stage that somebody was moved from counts as left by nobody', () => {
  const places = seen([worker('ada', 0), worker('bob', 0)], [worker('ada', 0), worker('bob', 1), worker('cyd', 0)]);
  assert.deepEqual(told(places).at(-1), 'cyd 0 here');
});

test('another round, another attempt at one, and the time before it begins, start anew', () => {
  const before = seen([worker('ada', 0), worker('bob', 1)]);
  const now = [worker('ada', 0), worker('bob', null)];
  for (const next of [
    { ...ROUND, round: 4 },
    { ...ROUND, attempt: 1 },
    { ...ROUND, phase: 'gathering' as const },
  ]) {
    assert.deepEqual(told(followPlaces(before, next, now)), ['ada 0 here']);
  }
  const judged = followPlaces(before, { ...ROUND, phase: 'judging' }, now);
  assert.deepEqual(told(judged), ['ada 0 here', 'bob 1 gone']);
});

test('what a device tells of this round is shown, and stays when it has handed in or left', () => {
  const numbers = { micro_batches: 5, steps: 1, under_way: 3, queued: 2 };
  const traffic = { micro_batches: 5, under_way: 3, queued: 2 };
  const rest = { micro_batches: 5, under_way: 0, queued: 0 };
  const none = { micro_batches: 0, under_way: 0, queued: 0 };
  const there = [worker('ada', 0, working(numbers))];
  assert.deepEqual(seen(there).places[0].traffic, traffic);
  assert.deepEqual(seen([worker('ada', 0, working(numbers, 2))]).places[0].traffic, none, 'of the round before');
  const sending = [worker('ada', 0, working({ micro_batches: 6, steps: 2 }, 3, 'sending'))];
  assert.deepEqual(seen(there, sending).places[0].traffic, { micro_batches: 6, under_way: 0, queued: 0 });
  const waiting = [worker('ada', 0, working({}, 3, 'waiting'))];
  assert.deepEqual(seen(there, waiting).places[0].traffic, rest);
  assert.deepEqual(seen(there, [worker('ada', null)]).places[0].traffic, rest);
});

test('a stage has what its devices have together', () => {
  const places = seen([
    worker('ada', 0, working({ micro_batches: 5, under_way: 3, queued: 2 })),
    worker('bob', 0, working({ micro_batches: 2, under_way: 1 })),
  ]);
  assert.deepEqual(sumOf(places.places), { micro_batches: 7, under_way: 4, queued: 2 });
});

test('of many devices those are drawn of whom there is news, in their places, and the others are counted', () => {
  const crowd = Array.from({ length: 12 }, (_, i) => worker(`w${i}`, 0));
  const gone = crowd.map((peer, i) => (i === 9 ? worker(peer.id, null) : peer));
  const few = seen(crowd.slice(0, 8));
  assert.deepEqual(drawnOf(few.places, null), { drawn: few.places, rest: [] });
  const { drawn, rest } = drawnOf(seen(crowd, gone).places, 'w11');
  assert.deepEqual(told({ of: '', places: drawn }), [
    ...['w0', 'w1', 'w2', 'w3', 'w4'].map((id) => `${id} 0 here`),
    ...['w9 0 gone', 'w11 0 here'],
  ]);
  const taken = drawnOf(seen(crowd, gone, [...gone, worker('new', 0)]).places, null).drawn;
  assert.deepEqual(told({ of: '', places: taken }).slice(-2), ['w9 0 gone', 'new 0 here after w9']);
  assert.deepEqual(
    rest.map(({ peer }) => peer.id),
    ['w5', 'w6', 'w7', 'w8', 'w10'],
  );
});

test('a device that dies and the way round it are said in a sentence', () => {
  const losses = (...moments: PeerView[][]): string[] => lossesOf(ROUND, seen(...moments).places, ({ name }) => name);
  const there = [worker('ada', 0), worker('bob', 0), worker('cyd', 1)];
  assert.deepEqual(losses(there), []);
  assert.deepEqual(losses(there, [worker('ada', 0), worker('bob', 1)]), [
    'cyd has left stage 2: bob took over from it.',
  ]);
  assert.deepEqual(losses(there, [worker('ada', 0), worker('cyd', 1)]), [
    'bob has left stage 1: what it had goes to the other device there.',
  ]);
  assert.deepEqual(losses([...there, worker('dan', 0)], [worker('ada', 0), worker('dan', 0), worker('cyd', 1)]), [
    'bob has left stage 1: what it had goes to the other 2 devices there.',
  ]);
  assert.deepEqual(losses(there, [worker('ada', 0), worker('bob', 0)]), [
    'cyd has left stage 2: nobody holds it now, and the others wait.',
  ]);
  const { places } = seen(there, [worker('ada', 0), worker('cyd', 1)]);
  assert.deepEqual(
    lossesOf({ phase: 'judging' }, places, ({ name }) => name),
    ['bob has left stage 1.'],
    'its work is in or not: nothing of it goes to anybody',
  );
});

test('layers are counted from 1, and an end of a model may have none', () => {
  const range = { embedding: false, first: 2, end: 4, head: false };
  assert.equal(rangeWords(range), 'layers 3–4');
  assert.equal(rangeWords({ ...range, end: 3, head: true }), 'layer 3, head');
  assert.equal(rangeWords({ ...range, embedding: true, first: 0, end: 2 }), 'embedding, layers 1–2');
  assert.equal(rangeWords({ ...range, first: 4, head: true }), 'head');
});

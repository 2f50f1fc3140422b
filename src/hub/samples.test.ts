// What a hub passes on of what models write: only from validators that are here, of models that the run has had, once each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initialState, type PeerState, type RunState } from '../core/state.ts';
import { openSamples } from './samples.ts';

const hash = (letter: string): string => letter.repeat(64);
const [RUN, VERA, VIC, ADA] = ['1', '2', '3', '4'].map(hash);

function hub() {
  const state = initialState(hash('0'));
  const peer = (role: 'worker' | 'validator', present = true) => ({ role, present }) as PeerState;
  const run = {
    ...{ id: RUN, round: 3, model: hash('d') },
    recent: ['b', 'c', 'd'].map((model, round) => ({ round, model: hash(model), parent: '', bundle: '' })),
    peers: new Map([
      [VERA, peer('validator')],
      [VIC, peer('validator')],
      [ADA, peer('worker')],
    ]),
  } as unknown as RunState;
  state.runs.set(RUN, run);
  return { samples: openSamples(() => state), run };
}

const sample = (model: string, text = 'once upon a time') => ({ model: hash(model), prompt: 'It was', text });

test('a validator’s word goes to people with its name, and as news once', () => {
  const { samples } = hub();
  assert.equal(samples.hear(RUN, VERA, sample('d')), true);
  const view = { run: RUN, by: VERA, merged_rounds: 3, ...sample('d') };
  assert.deepEqual(samples.all(), [view]);
  assert.deepEqual(samples.takeFresh(), [view]);
  assert.deepEqual(samples.takeFresh(), []);
  assert.deepEqual(samples.all(), [view]);
});

test('the first one of a model counts, and an older model comes too late', () => {
  const { samples } = hub();
  assert.equal(samples.hear(RUN, VERA, sample('c')), true); // the run has gone on while it was written
  assert.equal(samples.all()[0].merged_rounds, 2);
  assert.equal(samples.hear(RUN, VIC, sample('c', 'mine is better')), false);
  assert.equal(samples.hear(RUN, VERA, sample('b')), false);
  assert.equal(samples.hear(RUN, VIC, sample('d')), true);
  assert.deepEqual([samples.all().length, samples.all()[0].by], [1, VIC]);
});

test('workers, strangers, who has left, other runs and models that never were are not heard', () => {
  const { samples, run } = hub();
  assert.equal(samples.hear(RUN, ADA, sample('d')), false);
  assert.equal(samples.hear(RUN, hash('9'), sample('d')), false);
  assert.equal(samples.hear(hash('8'), VERA, sample('d')), false);
  assert.equal(samples.hear(RUN, VERA, sample('e')), false);
  (run.peers.get(VERA) as { present: boolean }).present = false;
  assert.equal(samples.hear(RUN, VERA, sample('d')), false);
  assert.deepEqual([samples.all(), samples.takeFresh()], [[], []]);
});

test('of a long run the first, the newest and some between are kept, evenly spread, and come back after a restart', () => {
  const { samples, run } = hub();
  for (let round = 0; round < 500; round++) {
    Object.assign(run, { round, model: round.toString(16).padStart(64, '0') });
    assert.equal(samples.hear(RUN, VERA, { model: run.model, prompt: '', text: `after ${round}` }), true);
  }
  const rounds = samples.of(RUN).map(({ merged_rounds }) => merged_rounds);
  assert.deepEqual([rounds.length, rounds[0], rounds.at(-1)], [48, 0, 499]);
  const gaps = rounds.slice(1).map((round, i) => round - rounds[i]);
  assert.ok(Math.max(...gaps) <= 24, `the widest gap is of ${Math.max(...gaps)} rounds`);
  const again = openSamples(() => assert.fail('not asked for'));
  again.restore(structuredClone(samples.take()));
  assert.deepEqual(again.of(RUN), samples.of(RUN));
  assert.deepEqual(again.of(hash('7')), []);
});

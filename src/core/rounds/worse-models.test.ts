// A run whose models only get worse is halted by the hub: when, on whose word, and what the owner's resuming forgets.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { EventBody } from '../events.ts';
import { EXAMPLE_WORDS } from '../testing/example-events.ts';
import { ALICE, evaluated, History, HUB, name, OWNER, opened, RUN, VERA } from '../testing/example-history.ts';
import { mayHalt } from './worse-models.ts';

const VICTOR = name('9');
let h: History;
beforeEach(() => {
  h = new History();
  h.openRound(true, { rounds: 40, checkpoint_every: 50 });
});

const measures = (validator: string, loss: number): void => {
  const body = evaluated(h.run.round, h.run.model);
  h.happen(validator, { ...body, measured: { loss_micro: Math.round(loss * 1e6) } } as EventBody);
};
/** Measures the present model, then merges a round on it. */
const goOn = (...losses: number[]): void => {
  for (const loss of losses) {
    measures(VERA, loss);
    h.playRound();
    if (!mayHalt(h.run)) h.openNext();
  }
};
const halt = (round = h.run.round, attempt = h.run.attempt): EventBody => ({
  ...{ type: 'run.halted', version: 2, run: RUN, round, attempt, reason: 'models-get-worse' },
});

test('four models in a row that are worse by more than a quarter than the best, and then no round opens by itself', () => {
  goOn(5.56, 9.2, 25, 24);
  h.refused('wrong-phase', HUB, halt());
  goOn(85);
  assert.ok(mayHalt(h.run));
  h.refused('not-the-hub', OWNER, halt());
  h.refused('not-the-hub', VERA, halt());
  h.refused('wrong-round', HUB, halt(h.run.round - 1));
  h.happen(HUB, halt());
  assert.deepEqual([h.run.phase, h.run.halted, h.run.round], ['paused', 'models-get-worse', 5]);
  h.refused('wrong-phase', HUB, halt());
  h.refused('wrong-phase', HUB, opened(5, h.run.attempt));
  const place = { version: 1, run: RUN, round: 5, attempt: h.run.attempt } as const;
  h.refused('not-the-owner', ALICE, { type: 'run.resumed', ...place });
  h.happen(OWNER, { type: 'run.resumed', ...place });
  assert.deepEqual([h.run.halted, mayHalt(h.run)], [null, false]);
  h.openNext();
  // What was measured before is forgotten: from here on it must rise anew.
  goOn(80, 79, 78, 77, 76);
  assert.equal(mayHalt(h.run), false);
});

test('a wave, a loss that falls slowly, and models that nobody measured halt nothing', () => {
  goOn(4, 6, 6, 6, 3.9, 6, 6, 6, 4);
  goOn(...Array.from({ length: 8 }, (_, i) => 3.8 - i / 100));
  goOn(...Array.from({ length: 6 }, () => 4.5));
  assert.equal(h.run.watches.get(VERA)!.worse_models, 0, 'by less than a quarter');
  for (let i = 0; i < 6; i++) {
    h.playRound();
    h.openNext();
  }
  assert.equal(mayHalt(h.run), false);
});

test('a run by a metric of which more is better: it gets worse when the number falls', () => {
  h = new History();
  const metrics = [{ ...EXAMPLE_WORDS.metrics[0], better: 'higher' as const }];
  h.openRound(true, { rounds: 40, checkpoint_every: 50, metrics });
  goOn(1, 2, 4, 8, 16, 12.8, 12.9, 13, 13);
  assert.equal(h.run.watches.get(VERA)!.worse_models, 0, 'by no more than a fifth');
  goOn(12.7, 9, 4);
  assert.equal(mayHalt(h.run), false);
  goOn(2);
  assert.ok(mayHalt(h.run));
});

test('what is measured has a number for each metric of the run, and no other', () => {
  h = new History();
  const more = { name: 'kept', words: 'kept', unit: 'numbers', better: 'higher' } as const;
  h.openRound(true, { metrics: [...EXAMPLE_WORDS.metrics, more] });
  const body = (measured: Record<string, number>): EventBody =>
    ({ ...evaluated(0, h.run.model), measured }) as EventBody;
  const others: Record<string, number>[] = [{}, { loss_micro: 1 }, { kept: 1 }, { loss_micro: 1, kept: 1, other: 1 }];
  for (const measured of others) h.refused('wrong-metrics', VERA, body(measured));
  h.happen(VERA, body({ kept: 9, loss_micro: 4 }));
  assert.deepEqual(h.run.evaluation, { merged_rounds: 0, measured: { kept: 9, loss_micro: 4 } });
  assert.equal(h.run.watches.get(VERA)!.last, 4, 'the first is what it is judged by');
});

/** Each model as Vera measures it truly and as Victor says; null: he says nothing. */
function goOnWith(...words: readonly (readonly [number, number | null])[]): void {
  for (const [vera, victor] of words) {
    measures(VERA, vera);
    if (victor !== null) measures(VICTOR, victor);
    h.playRound([VERA, VICTOR]);
    if (mayHalt(h.run)) return;
    h.openNext();
  }
}

/** Another round opens with Victor here. */
function withVictor(): void {
  h.joinLongAgo(VICTOR);
  h.playRound();
  h.openNext();
}

test('one validator alone halts nothing, neither by high words nor by a low one before', () => {
  withVictor();
  goOnWith(...Array.from({ length: 8 }, (_, i) => [4 - i / 10, 10 * (i + 1)] as const));
  assert.equal(mayHalt(h.run), false, 'high');
  goOnWith([3.2, 0.001], ...Array.from({ length: 8 }, (_, i) => [3.1 - i / 10, null] as const));
  assert.equal(mayHalt(h.run), false, 'low, and then nothing');
  goOnWith([2.3, 0.000001], ...Array.from({ length: 8 }, (_, i) => [2.2 - i / 10, 2] as const));
  assert.equal(mayHalt(h.run), false, 'low, and then the truth');
});

test('who has gone holds no halt up for longer than a few rounds', () => {
  withVictor();
  goOnWith([4, 4], [8, 4], [16, null], [32, null], [64, null]);
  assert.equal(mayHalt(h.run), false, 'Victor said a moment ago that it does not rise');
  goOnWith([128, null], [256, null]);
  assert.ok(mayHalt(h.run));
});

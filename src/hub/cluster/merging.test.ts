// Merges that another process makes: each once, by whoever is there, and two that differ are told of.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RoundMerged } from '../../core/events/round-merged.ts';
import type { LoggedEvent } from '../../core/events.ts';
import { initialState, type NetworkState, type RunState } from '../../core/state.ts';
import { seededRandom } from '../../protocol/random.ts';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { HubError } from '../errors.ts';
import { openMemoryEngine } from './memory-bus.ts';
import { askMergers, serveMerges } from './merging.ts';
import { subjectsOf } from './subjects.ts';

const [HUB, RUN] = ['a', 'b'].map((digit) => digit.repeat(64));
const run = { id: RUN, round: 3, attempt: 0, phase: 'merging' } as RunState;
const merged = (digit: string): RoundMerged => ({
  ...{ type: 'round.merged', version: 2, run: RUN, round: 3, attempt: 0 },
  ...{ accepted_count: 1, accepted_root: 'c'.repeat(64), model: digit.repeat(64), bundle: null, checkpoint: false },
});

/** A leader, and processes that merge as they are told to. */
function world() {
  const clock = handClock();
  const engine = openMemoryEngine(seededRandom('merging'));
  const subjects = subjectsOf(HUB);
  const onError = (error: unknown): void => assert.fail(String(error));
  const bus = engine.open('leader', clock, onError);
  const network = initialState(HUB);
  network.runs.set(RUN, run);
  const ask = askMergers(bus, subjects, () => 0, clock);
  const merger = (instance: string, merge: () => Promise<RoundMerged>) => {
    const listeners: ((event: LoggedEvent, index: number) => void)[] = [];
    const problems: HubError[] = [];
    let made = 0;
    const sequencer = {
      state: network,
      reached: async () => {},
      onEvent: (listener: (event: LoggedEvent, index: number) => void) => void listeners.push(listener),
    };
    const counted = async (): Promise<RoundMerged> => {
      made++;
      return merge();
    };
    const serving = serveMerges({
      ...{ bus: engine.open(instance, clock, onError), subjects, instance, sequencer, clock },
      models: { merge: counted },
      onError: (error) => void problems.push(error),
    });
    return {
      ...{ serving, problems },
      get made() {
        return made;
      },
      /** The log has this merge. */
      hears(body: RoundMerged): void {
        for (const listener of listeners) listener({ id: 'd'.repeat(64), author: HUB, body }, 0);
      },
    };
  };
  const asked = (): Promise<RoundMerged> => clock.run(ask({} as NetworkState, run));
  return { clock, engine, merger, asked };
}

const after = async (clock: ReturnType<typeof handClock>, ms: number, body: RoundMerged): Promise<RoundMerged> => {
  await new Promise<void>((resolve) => clock.setTimeout(resolve, ms));
  return body;
};

describe('merges that another process makes', () => {
  test('one of two makes it, once, also where it takes long and is asked for again', async () => {
    const { clock, merger, asked } = world();
    const both = ['one', 'two'].map((name) => merger(name, () => after(clock, 9000, merged('1'))));
    for (let round = 0; round < 5; round++) {
      Object.assign(run, { round });
      assert.equal((await asked()).model, merged('1').model);
      assert.equal(both[0].made + both[1].made, round + 1);
    }
    Object.assign(run, { round: 3 });
  });

  test('where the one that makes it dies, another one does', async () => {
    const { clock, engine, merger, asked } = world();
    const first = merger('first', () => new Promise(() => {}));
    const answer = asked();
    await clock.pass(3000);
    assert.equal(first.made, 1);
    const second = merger('second', async () => merged('2'));
    engine.gone('first');
    assert.deepEqual(await answer, merged('2'));
    assert.equal(second.made, 1);
  });

  test('a merge that fails is told as it failed, and made anew when it is asked for again', async () => {
    const { merger, asked } = world();
    let fails = true;
    const only = merger('only', async () => {
      if (fails) throw new HubError('missing-blob', 'expected blob x to be there');
      return merged('3');
    });
    await assert.rejects(asked(), { code: 'merge-failed', message: 'missing-blob: expected blob x to be there' });
    fails = false;
    assert.deepEqual(await asked(), merged('3'));
    assert.equal(only.made, 2);
  });

  test('where nobody merges, that is said after half a minute', async () => {
    const { clock, asked } = world();
    await assert.rejects(asked(), { code: 'no-merger', message: /has merged round 3 for 30 s/ });
    assert.ok(clock.elapsed_ms() >= 30_000 && clock.elapsed_ms() < 40_000, `${clock.elapsed_ms()} ms`);
  });

  test('a round that is over, and another attempt, are not merged', async () => {
    const { merger, asked } = world();
    const only = merger('only', async () => merged('4'));
    for (const other of [{ phase: 'working' }, { attempt: 1 }, { round: 4 }] as const) {
      const before = { ...run };
      const answer = asked();
      Object.assign(run, other);
      await assert.rejects(answer, { code: 'merge-failed', message: /is not to be merged any more/ });
      Object.assign(run, before);
    }
    assert.equal(only.made, 0);
  });

  test('who has made another model than the log has says so once, and merges no more', async () => {
    const { clock, merger, asked } = world();
    const bad = merger('bad', async () => merged('5'));
    assert.deepEqual(await asked(), merged('5'));
    bad.hears(merged('5'));
    bad.hears({ ...merged('6'), round: 2 });
    await clock.pass(1);
    assert.equal(bad.problems.length, 0, 'the same, and one that it has not made');
    for (let i = 0; i < 2; i++) bad.hears(merged('6'));
    await clock.pass(1);
    assert.deepEqual(
      bad.problems.map(({ code }) => code),
      ['merge-differs'],
    );
    assert.match(
      bad.problems[0].message,
      /made the model 5+, another one 6+, which is in the log; .* potluck audit says which/,
    );
    await assert.rejects(asked(), { code: 'no-merger' });
  });
});

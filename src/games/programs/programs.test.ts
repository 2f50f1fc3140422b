// A program that nobody trusts ends as it must, the same every time; what a device cannot carry to its end has no verdict.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runProgram } from './node-programs.ts';
import type { ProgramJob } from './program.ts';
import { openPrograms, type ProgramAnswer } from './programs.ts';
import { PROGRAM_CASES } from './testing/program-cases.ts';

describe('a program', () => {
  for (const { what, program, input = null, limits, ends, says = /(?:)/ } of PROGRAM_CASES) {
    test(`${what}: ${ends}`, async () => {
      const result = await runProgram(program, input, limits);
      assert.equal(result.kind, ends, JSON.stringify(result));
      if (result.kind === 'value') assert.match(JSON.stringify(result.value), says);
      if (result.kind === 'error') assert.match(result.message, says);
      assert.deepEqual(await runProgram(program, input, limits), result, 'the same again, to the last step');
    });
  }

  test('pollutes nothing here', () => {
    assert.equal(({} as { polluted?: number }).polluted, undefined);
  });

  test('leaves nothing behind for the next', async () => {
    await runProgram('globalThis.kept = 1; Array.prototype.map = 2; () => 1', null);
    const { kind, ...rest } = await runProgram('() => [typeof kept, typeof [].map]', null);
    assert.deepEqual(
      { kind, value: 'value' in rest && rest.value },
      { kind: 'value', value: ['undefined', 'function'] },
    );
  });

  test('has as much as it is given, and no more', async () => {
    const used = await runProgram('() => { let n = 0; for (let i = 0; i < 1e4; i++) n += i; return n }', null);
    assert.ok(used.steps > 1e4);
    const loop = '() => { let n = 0; for (let i = 0; i < 1e4; i++) n += i; return n }';
    assert.equal((await runProgram(loop, null, { steps: used.steps })).kind, 'value');
    assert.equal((await runProgram(loop, null, { steps: used.steps - 1 })).kind, 'out-of-steps');
    const fill = '(n) => new Uint8Array(n).length';
    assert.equal((await runProgram(fill, 2e7, { memory_bytes: 1 << 24 })).kind, 'out-of-memory');
    assert.equal((await runProgram(fill, 2e7, { memory_bytes: 1 << 25 })).kind, 'value');
    assert.equal((await runProgram('() => "12"', null, { output_bytes: 3 })).kind, 'too-much-output');
    assert.equal((await runProgram('() => "1"', null, { output_bytes: 3 })).kind, 'value');
  });
});

test('limits that no device gives, and an input that is no JSON or too long, are the game’s mistake', async () => {
  for (const limits of [
    { steps: 0 },
    { steps: 1e10 },
    { memory_bytes: 1 },
    { output_bytes: -1 },
    { time: 5 } as never,
  ]) {
    await assert.rejects(runProgram('() => 1', null, limits), { code: 'game-nonsense' });
  }
  for (const input of [undefined, () => 1, 'x'.repeat(1 << 20)]) {
    await assert.rejects(runProgram('() => 1', input), { code: 'game-nonsense' });
  }
});

describe('a device that cannot carry a run to its end has no verdict, and goes on', () => {
  const done: ProgramAnswer = { result: { kind: 'value', value: 1, steps: 1 } };
  /** Threads that do one thing after another. */
  const threads = (...deeds: ((answer: (said: ProgramAnswer) => void, end: (why: string) => void) => void)[]) => {
    const ended: number[] = [];
    let opened = 0;
    const programs = openPrograms(() => {
      const number = ++opened;
      let heard: [(answer: ProgramAnswer) => void, (why: string) => void];
      return {
        post: (_: ProgramJob) => deeds.shift()!(...heard),
        open: (...hear) => {
          heard = hear;
        },
        hold: () => {},
        end: () => void ended.push(number),
      };
    });
    return { programs, ended };
  };

  test('whose thread ends, or whose engine fails', async () => {
    const { programs, ended } = threads(
      (_, end) => end('no memory'),
      (answer) => answer({ could_not: 'RangeError: Maximum call stack size exceeded' }),
      (answer) => answer(done),
    );
    await assert.rejects(programs.run('() => 1', null), { code: 'could-not-run', message: /no memory/ });
    await assert.rejects(programs.run('() => 1', null), { code: 'could-not-run', message: /call stack/ });
    assert.deepEqual(await programs.run('() => 1', null), done.result);
    assert.deepEqual(ended, [1]);
  });

  test('which takes longer than any should', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let late: (said: ProgramAnswer) => void = () => {};
    const { programs, ended } = threads(
      (answer) => {
        late = answer;
      },
      (answer) => {
        late({ result: { kind: 'value', value: 'late', steps: 1 } }); // nobody's answer
        answer(done);
      },
    );
    const slow = assert.rejects(programs.run('() => 1', null, { steps: 1 }), {
      code: 'could-not-run',
      message: /60 s/,
    });
    await new Promise(setImmediate);
    t.mock.timers.tick(60_001);
    await slow;
    assert.deepEqual(ended, [1]);
    assert.deepEqual(await programs.run('() => 1', null), done.result);
  });
});

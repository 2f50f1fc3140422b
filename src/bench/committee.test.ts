// bench committee measures each verifier with the committee and with its best member at as many tokens, keeps finished seeds, and refuses nonsense.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runProgram } from '../games/programs/node-programs.ts';
import { passes } from '../serving/committee-verifiers.ts';
import { CHECK, HELD_OUT, KINDS, TO_LEARN } from './committee-tasks.ts';

const folder = mkdtempSync(join(tmpdir(), 'bench-committee-'));
after(() => rmSync(folder, { recursive: true }));

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'committee', ...args], { encoding: 'utf8' });

interface Measured {
  readonly right: number;
  readonly tokens: number;
  readonly kinds: readonly number[];
}
interface Found {
  readonly kinds: string[];
  readonly members: Measured[][];
  readonly best: Measured[];
  readonly known: Measured[];
  readonly all: { once: Measured[]; checked: Measured[] };
  readonly verifiers: { name: string; together: Measured[]; alone: Measured[]; times: number[] }[];
}

test('what is right and what it takes, as JSON; a finished seed is not measured again', () => {
  const kept = ['--quick', '--keep', join(folder, 'kept.jsonl'), '--json', '-'];
  const { status, stdout, stderr } = bench(...kept);
  assert.equal(status, 0, stderr);
  const { kinds, members, best, known, all, verifiers }: Found = JSON.parse(stdout);
  assert.deepEqual([kinds.length, members.length, members[0].length, verifiers.length], [KINDS.length, 1, 3, 4]);
  assert.equal(best[0].right, Math.max(...members[0].map(({ right }) => right)));
  assert.ok(known[0].right >= best[0].right);
  assert.ok(all.checked[0].tokens > 2 * all.once[0].tokens, 'the tokens of all answers count');
  for (const { name, together, alone, times } of verifiers) {
    assert.ok(times[0] >= 3 && times[0] <= 8, `${times}`);
    assert.ok(alone[0].tokens >= 0.98 * together[0].tokens, `${name}: ${alone[0].tokens} and ${together[0].tokens}`);
    assert.ok(together[0].tokens > 2 * best[0].tokens, 'the tokens of all members count');
    assert.ok(
      together[0].right <= verifiers[0].together[0].right,
      'a check that is never wrong finds what is right among the same drafts',
    );
  }
  const [, scored, surest] = verifiers;
  assert.ok(scored.together[0].tokens > 1.5 * surest.together[0].tokens, 'what a scorer reads counts');
  assert.equal(bench(...kept).stdout, stdout);
  assert.equal(bench('--seeds', '0').status, 2);
});

test('the check knows right answers of every kind, and held-out tasks are not learned from', async () => {
  for (const [kind, tasks] of HELD_OUT.entries()) {
    const learned = new Set(TO_LEARN[kind].map(({ question }) => question));
    assert.ok(tasks.length > 50 && tasks.every(({ question }) => !learned.has(question)));
    const [{ question, answer }] = tasks;
    const check = (answer: string) => passes(CHECK, runProgram, { prompt: question, answer });
    assert.deepEqual(await Promise.all([answer, `${Number(answer) + 1}`, `${answer} `, ''].map(check)), [
      ...[true, false, false, false],
    ]);
  }
});

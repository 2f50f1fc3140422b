// bench distil measures every kind of student on both texts, by seed, and refuses nonsense.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'distil', ...args], { encoding: 'utf8' });

test('losses and differences of students with and without logprobs, as JSON', () => {
  const { status, stdout, stderr } = bench(
    '--seeds',
    '2',
    '--tokens',
    '2000',
    '--steps',
    '3',
    '--teacherSteps',
    '3',
    '--json',
    '-',
  );
  assert.equal(status, 0, stderr);
  const { students, teacher }: { students: { own: number[]; real: number[] }[]; teacher: { own: number } } =
    JSON.parse(stdout);
  assert.equal(students.length, 3);
  for (const { own, real } of students) {
    assert.ok(
      [...own, ...real].every((loss) => loss > 1 && loss < 6),
      `${own} ${real}`,
    );
    assert.equal(new Set(own).size, 2, 'each seed is another student');
  }
  assert.notDeepEqual(students[0].own, students[2].own);
  assert.ok(teacher.own < 6);
  assert.equal(bench('--seeds', '1').status, 2);
});

// bench committee measures each verifier with the committee and with its best member at no fewer tokens, by seed, and refuses nonsense.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'committee', ...args], { encoding: 'utf8' });

interface Measured {
  readonly right: number;
  readonly tokens: number;
}
interface Found {
  readonly members: number[][];
  readonly greedy: Measured[];
  readonly verifiers: { name: string; together: Measured[]; alone: Measured[]; times: number[] }[];
}

test('what is right and what it takes, as JSON', () => {
  const { status, stdout, stderr } = bench('--quick', '--json', '-');
  assert.equal(status, 0, stderr);
  const { members, greedy, verifiers }: Found = JSON.parse(stdout);
  assert.equal(verifiers.length, 3);
  assert.deepEqual([members.length, members[0].length, greedy.length], [2, 3, 2]);
  for (const [seed, { right }] of greedy.entries()) assert.equal(right, Math.max(...members[seed]));
  for (const { name, together, alone, times } of verifiers) {
    for (const [seed, { tokens, right }] of together.entries()) {
      assert.ok(times[seed] >= 3 && times[seed] <= 8, `${times}`);
      assert.ok(alone[seed].tokens >= tokens, `${name}: ${alone[seed].tokens} and ${tokens} tokens`);
      assert.ok(right >= 0 && right <= 1);
      assert.ok(tokens > 2 * greedy[seed].tokens, 'the tokens of all members count');
    }
  }
  const [checked, voted, likely] = verifiers;
  for (const [seed, { right }] of checked.together.entries()) {
    assert.ok(
      right >= voted.together[seed].right,
      'a check that is never wrong finds what is right among the same drafts',
    );
  }
  assert.ok(likely.together[0].tokens > 2 * voted.together[0].tokens, 'reading each other takes tokens');
  assert.equal(bench('--seeds', '1').status, 2);
});

// `potluck grade` writes what models answered, with the check's word on each, as run create takes it.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exportModel } from '../model/checkpoint-folder.ts';
import { testModel } from '../serving/testing/engine-models.ts';
import { readTexts } from '../training/corpus.ts';
import { gradeCommand } from './grade.ts';

const folder = mkdtempSync(join(tmpdir(), 'potluck-grade-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const [one, two, questions, check, out] = ['one', 'two', 'questions.txt', 'check.js', 'graded.jsonl'].map((name) =>
  join(folder, name),
);
for (const to of [one, two]) await exportModel(to, testModel({ max_position_embeddings: 64 }));
writeFileSync(questions, 'first?\r\n\nsecond?\n');
writeFileSync(check, `({ prompt, answer }) => prompt === 'first?' && answer !== ''`);
const words = [one, two, '--questions', questions, '--check', check, '--out', out];
const grade = (...more: string[]) => gradeCommand().parseAsync([...words, ...more], { from: 'user' });

test('each answer of each model, with its grade', async () => {
  await grade('--times', '2', '--max-tokens', '4');
  const texts: string[] = [];
  for await (const text of readTexts([out], {})) texts.push(text);
  assert.equal(texts.length, 2 * 2 * 2);
  for (const [i, text] of texts.entries()) {
    const [begins, ends] = i < 4 ? ['first?', '\n?yes'] : ['second?', '\n?no'];
    assert.ok(text.startsWith(`${i % 4 < 2 ? 'one' : 'two'}\n${begins}`) && text.endsWith(ends), JSON.stringify(text));
  }
  const before = readFileSync(out);
  await grade('--times', '2', '--max-tokens', '4');
  assert.deepEqual(readFileSync(out), before, 'the same seed draws the same answers');
});

test('files that are not there, or say nothing, are refused before a model is opened', async () => {
  await assert.rejects(grade('--questions', join(folder, 'none')), { code: 'missing-file', message: /--questions/ });
  await assert.rejects(grade('--check', join(folder, 'none')), { code: 'missing-file', message: /--check/ });
  const empty = join(folder, 'empty.txt');
  writeFileSync(empty, '\n\n');
  await assert.rejects(grade('--questions', empty), { code: 'bad-argument', message: /no line with a question/ });
  await assert.rejects(grade('--out', folder), { code: 'bad-folder' });
});

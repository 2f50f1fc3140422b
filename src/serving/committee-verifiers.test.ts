// What each verifier chooses, what it reads for that, and what it does where it cannot choose.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runProgram } from '../games/programs/node-programs.ts';
import { utf8 } from '../protocol/hash.ts';
import type { AnswerEvent, AnswerRequest, AnswerServer } from './answers.ts';
import {
  checkedBy,
  type Draft,
  draftOf,
  mostVotes,
  scoredBy,
  surestVotes,
  type Verifier,
} from './committee-verifiers.ts';
import { ServingError } from './errors.ts';
import { requestOf } from './testing/tiny-model.ts';

const never = new AbortController().signal;
const picks =
  (chosen: number): Verifier =>
  async () => ({ chosen, prompt_tokens: 5 });

/** A draft whose every character is a token, each with this logprob. */
function draft(member: number, text: string, logprob = -1, model = 'abc'[member]): Draft {
  const tokens = [...text].map(
    (character, position): AnswerEvent => ({
      ...{ kind: 'token', position, id: position, text: character, echoed: false, top: [] },
      logprob: { id: position, bytes: utf8(character), logprob },
    }),
  );
  const ended: AnswerEvent = { kind: 'ended', text: '', reason: 'stop', end_id: null, written_tokens: text.length };
  return draftOf(member, model, [{ kind: 'begun', prompt_tokens: 3 }, ...tokens, ended]);
}
const drafts = (...texts: string[]): Draft[] => texts.map((text, member) => draft(member, text));
const choice = (verifier: Verifier, of: readonly Draft[], request: Partial<AnswerRequest> = {}) =>
  verifier({ request: requestOf({ prompt: { kind: 'text', text: '1+1=' }, ...request }), drafts: of }, never);

test('a check takes what passes, else what another verifier takes', async () => {
  const by = (program: string, request = {}) =>
    choice(checkedBy(program, runProgram, picks(1)), drafts('1', '3', '2'), request);
  assert.deepEqual(await by(`({ prompt, answer }) => prompt === '1+1=' && answer === '2'`), {
    chosen: 2,
    prompt_tokens: 0,
  });
  const messages = ['system', 'user'].map((role) => ({ role: role as 'user', content: `by ${role}` }));
  const chat = { kind: 'chat', messages, tools: [], tool_choice: 'none', parallel_tool_calls: false } as const;
  assert.equal((await by(`({ prompt }) => prompt === 'by user'`, { prompt: chat })).chosen, 0);
  for (const program of ['() => 1', '() => { throw 1 }', 'no program']) assert.equal((await by(program)).chosen, 1);
});

test('most votes take the text of most, and of equals the earliest', async () => {
  assert.equal((await choice(mostVotes, drafts('1', '2', '2'))).chosen, 1);
  assert.equal((await choice(mostVotes, drafts('2', '1', '3'))).chosen, 0);
  assert.equal((await choice(mostVotes, drafts('3', '1', '2', '2', '1'))).chosen, 1);
});

describe('surest votes', () => {
  const chosen = async (...of: Draft[]) => (await choice(surestVotes, of)).chosen;

  test('take the word of one that is sure before two that guess, and of two that are nearly as sure before one', async () => {
    assert.equal(await chosen(draft(0, '12', -1), draft(1, '13', -0.1), draft(2, '12', -1)), 1);
    assert.equal(await chosen(draft(0, '13', -0.1), draft(1, '12', -0.2), draft(2, '12', -0.2)), 1);
  });

  test('do not prefer a short answer, and weigh long ones without an end of numbers', async () => {
    assert.equal(await chosen(draft(0, 'no', -0.9), draft(1, 'a longer answer', -0.8)), 1);
    assert.equal(await chosen(draft(0, 'x'.repeat(5000), -3), draft(1, 'y'.repeat(5000), -2)), 1);
  });

  test('take an answer before none, and the first of none', async () => {
    assert.equal(await chosen(draft(0, ''), draft(1, '2', -9)), 1);
    assert.equal(await chosen(draft(0, ''), draft(1, '')), 0);
  });
});

describe('a scorer', () => {
  /** What was read, and the verdict on it: the likeliest tokens. */
  function scorer(verdict: (text: string) => [string, number][]) {
    const read: string[] = [];
    const server: AnswerServer = {
      models: () => [{ name: 'scorer' } as ReturnType<AnswerServer['models']>[0]],
      async *answer({ prompt, model, max_tokens, top_logprobs }) {
        assert.deepEqual([model, max_tokens, top_logprobs], ['scorer', 1, 20]);
        const text = prompt.kind === 'text' ? prompt.text : assert.fail('texts alone');
        read.push(text);
        yield { kind: 'begun', prompt_tokens: text.length };
        const top = verdict(text).map(([word, share], id) => ({ id, bytes: utf8(word), logprob: Math.log(share) }));
        if (top.length > 0) {
          yield { kind: 'token', position: text.length, id: 0, text: '', echoed: false, logprob: top[0], top };
        }
        yield { kind: 'ended', text: '', reason: 'length', end_id: null, written_tokens: top.length };
      },
      embed: () => assert.fail('nothing is embedded'),
    };
    return { server, read };
  }

  test('takes what it is surest of, and reads each answer of each model once', async () => {
    const { server, read } = scorer(
      (text) =>
      text.includes('=3') ? [['y', 0.3], ['yes', 0.1], ['no', 0.2], ['x', 0.4]] : [['n', 0.6], ['y', 0.4]], // biome-ignore format: a table
    );
    const of = [draft(0, '2'), draft(0, '2'), draft(1, '2'), draft(2, '3'), draft(2, '3')];
    const found = await choice(scoredBy(server, picks(0)), of);
    assert.deepEqual(read, ['a\n1+1=2\n?', 'b\n1+1=2\n?', 'c\n1+1=3\n?']);
    assert.deepEqual(found, { chosen: 3, prompt_tokens: read.join('').length + 3 });
  });

  test('reads nothing where all say the same', async () => {
    const { server, read } = scorer(() => assert.fail('nothing is to be read'));
    assert.deepEqual(await choice(scoredBy(server, picks(1)), drafts('2', '2')), { chosen: 0, prompt_tokens: 0 });
    assert.equal(read.length, 0);
  });

  test('leaves the choice to another verifier where it says nothing, and cannot read', async () => {
    for (const silent of [
      scorer(() => []),
      scorer(() => [
        ['maybe', 1],
        ['', 1],
      ]),
    ]) {
      // biome-ignore format: a line
      const found = await choice(scoredBy(silent.server, picks(1)), drafts('2', '3'));
      assert.equal(found.chosen, 1);
      assert.ok(found.prompt_tokens >= 5 + 2 * 'a\n1+1=2\n?'.length, 'what was read in vain is paid, too');
    }
    const { server } = scorer(() => assert.fail('ids are no text'));
    const ids: AnswerRequest['prompt'] = { kind: 'ids', ids: [1] };
    assert.deepEqual(await choice(scoredBy(server, picks(1)), drafts('2', '3'), { prompt: ids }), {
      chosen: 1,
      prompt_tokens: 5,
    });
  });

  test('that fails is not passed over', async () => {
    const { server } = scorer(() => {
      throw new ServingError('engine-ended', 'made to fail');
    });
    await assert.rejects(choice(scoredBy(server, picks(1)), drafts('2', '3')), { code: 'engine-ended' });
  });
});

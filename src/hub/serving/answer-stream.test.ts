// One answer put together from what several devices write: wherever it is cut, and however it is cut into messages, the caller gets the same.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { TokenRow } from '../../protocol/serving-bytes.ts';
import type { AnswerEvent, AnswerRequest } from '../../serving/answers.ts';
import { openAnswerStream } from './answer-stream.ts';
import { ask } from './testing/pool-world.ts';

const PROMPT = [11, 12, 13, 14];
const IDS = Array.from({ length: 9 }, (_, i) => 100 + i);
const CALLS = [
  { name: 'look', arguments: '{}' },
  { name: 'write', arguments: '{"a":1}' },
];
const TOOL = { name: 'look', parameters: {} };
const REQUEST: AnswerRequest = ask({
  ...{ echo: true, max_tokens: 9, top_logprobs: 1 },
  prompt: {
    ...{ kind: 'chat', messages: [{ role: 'user', content: 'x' }], tools: [TOOL] },
    ...{ tool_choice: 'auto', parallel_tool_calls: true },
  },
});
const row = (id: number, echoed: boolean, isFirst = false): TokenRow => {
  const logprob: [number, Uint8Array, number] = [id, new Uint8Array([id]), -1];
  return [id, `${id} `, echoed, isFirst ? null : logprob, isFirst ? [] : [logprob]];
};

/** What a device says that writes the rest of a request: tokens and calls, one after the other. */
function words(request: AnswerRequest): { readonly rows: TokenRow[]; readonly calls: typeof CALLS } {
  const echo = request.echo ? PROMPT.map((id, i) => row(id, true, i === 0)) : [];
  return { rows: [...echo, ...IDS.slice(request.written.length).map((id) => row(id, false))], calls: CALLS };
}

const never = new AbortController().signal;
async function eventsOf(stream: ReturnType<typeof openAnswerStream>): Promise<AnswerEvent[]> {
  const events: AnswerEvent[] = [];
  for (let event = await stream.next(never); event; event = await stream.next(never)) events.push(event);
  return events;
}

/** Devices one after the other; each says so many things, in messages of so many tokens, and is gone then. */
async function written(cuts: readonly { readonly says: number; readonly of: number }[]): Promise<AnswerEvent[]> {
  const stream = openAnswerStream(REQUEST, () => {});
  for (const { says, of } of [...cuts, { says: 1000, of: 64 }]) {
    if (stream.over) break;
    const cursor = stream.cursor(64);
    const { rows, calls } = words(stream.rest());
    let left = says;
    if (left-- <= 0) continue;
    assert.equal(stream.heardBegun(cursor, PROMPT.length), null);
    for (let at = 0; at < rows.length && left > 0; at += of, left--) {
      assert.equal(stream.heardTokens(cursor, at, rows.slice(at, at + of)), null);
      if (at + of < rows.length && left === 1) left = 0;
    }
    if (cursor.next < rows.length) continue;
    for (const call of calls) if (left-- > 0) assert.equal(stream.heardCall(cursor, call), null);
    if (left <= 0) continue;
    const end = { text: '!', reason: 'tool_calls', end_id: 5, written_tokens: 9 } as const;
    assert.equal(stream.heardEnd(cursor, end), null);
  }
  return eventsOf(stream);
}

describe('an answer that several devices write', () => {
  test('is the same as that of one, wherever it is cut: in the prompt, in the text, between calls, before its end', async () => {
    const whole = await written([]);
    assert.equal(whole.length, 1 + PROMPT.length + IDS.length + CALLS.length + 1);
    const cut = fc.record({ says: fc.integer({ min: 0, max: 18 }), of: fc.integer({ min: 1, max: 5 }) });
    const drawn = fc.asyncProperty(fc.array(cut, { maxLength: 5 }), async (cuts) => {
      assert.deepEqual(await written(cuts), whole);
    });
    await fc.assert(drawn, { numRuns: 400 });
  });

  test('takes nothing that does not follow from what came before', () => {
    const stream = openAnswerStream(REQUEST, () => {});
    const cursor = stream.cursor(64);
    const { rows } = words(REQUEST);
    const end = { text: '', reason: 'stop', end_id: null, written_tokens: 0 } as const;
    assert.match(stream.heardTokens(cursor, 0, rows)!, /before it has begun/);
    assert.match(stream.heardEnd(cursor, end)!, /before it has begun/);
    assert.match(stream.heardBegun(stream.cursor(3), PROMPT.length)!, /in a context of 3/);
    assert.equal(stream.heardBegun(cursor, PROMPT.length), null);
    assert.match(stream.heardTokens(cursor, 0, [row(100, false)])!, /before the prompt's last one/);
    assert.match(stream.heardEnd(cursor, end)!, /before the prompt's last token/);
    assert.equal(stream.heardTokens(cursor, 0, rows.slice(0, 6)), null);
    assert.match(stream.heardTokens(cursor, 6, [row(11, true)])!, /out of its place/);
    const wrongs: readonly (readonly [TokenRow, RegExp])[] = [
      [[102, 'x', false, null, []], /without its logprob/],
      [[102, 'x', false, [103, new Uint8Array(), -1], []], /logprob of token 103 beside token 102/],
      [[102, 'x', false, [102, new Uint8Array(), -1], Array(2).fill([1, new Uint8Array(), -1])], /2 likeliest tokens/],
    ];
    for (const [wrong, why] of wrongs) assert.match(stream.heardTokens(cursor, 6, [wrong])!, why);
    assert.match(stream.heardEnd(cursor, { ...end, reason: 'tool_calls', written_tokens: 2 })!, /by calls without one/);
    assert.equal(stream.heardCall(cursor, CALLS[0]), null);
    assert.match(stream.heardTokens(cursor, 6, [row(102, false)])!, /after a call/);
    const plain = openAnswerStream(ask(), () => {});
    const other = plain.cursor(64);
    plain.heardBegun(other, 3);
    assert.match(plain.heardCall(other, CALLS[0])!, /where there are none to call/);
    const { prompt } = REQUEST;
    assert.ok(prompt.kind === 'chat');
    const free = openAnswerStream({ ...REQUEST, prompt: { ...prompt, tool_choice: 'none' }, echo: false }, () => {});
    const silent = free.cursor(64);
    free.heardBegun(silent, PROMPT.length);
    assert.match(free.heardCall(silent, CALLS[0])!, /where there are none to call/);
  });
});

// The text of an answer: whole characters, no stop string however tokens cut it, and nothing lost.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { answerText } from './answer-text.ts';

/** A vocabulary of byte strings, by id. */
const table = (pieces: readonly Uint8Array[]) => ({ bytesOf: (id: number) => pieces[id] });
const utf8 = new TextEncoder();

/** Feeds the pieces as tokens 0, 1, …; returns what came with each, and at the end. */
function fed(pieces: readonly (string | Uint8Array)[], stops: readonly string[]) {
  const text = answerText(
    table(pieces.map((piece) => (typeof piece === 'string' ? utf8.encode(piece) : piece))),
    stops,
  );
  const parts = pieces.map((_, id) => text.push(id));
  return { parts, rest: text.end(), stopped: text.stopped };
}

describe('the text of an answer', () => {
  test('holds back what may begin a stop string, and ends before one', () => {
    assert.deepEqual(fed(['a', 'b', 'c', 'd'], ['bcx']), { parts: ['a', '', '', 'bcd'], rest: '', stopped: false });
    assert.deepEqual(fed(['a', 'b', 'c', 'd'], ['bc']), { parts: ['a', '', '', ''], rest: '', stopped: true });
    assert.deepEqual(fed(['abcd'], ['bc']), { parts: ['a'], rest: '', stopped: true });
    assert.deepEqual(fed(['a', 'ab'], ['aab']), { parts: ['', ''], rest: '', stopped: true });
    assert.deepEqual(fed(['a', 'aab'], ['aab']), { parts: ['', 'a'], rest: '', stopped: true });
    assert.deepEqual(fed(['x', '\n'], ['\n\n']), { parts: ['x', ''], rest: '\n', stopped: false });
  });

  test('of several stop strings the one that is complete first counts, whether its token brings more or not', () => {
    for (const pieces of [['abcd'], ['a', 'b', 'c', 'd'], ['ab', 'cd']]) {
      const { parts, stopped } = fed(pieces, ['abcd', 'bc']);
      assert.deepEqual([parts.join(''), stopped], ['a', true]);
    }
    assert.equal(fed(['xab'], ['b', 'ab']).parts.join(''), 'x');
  });

  test('never ends within a character; bytes that never become one are U+FFFD at the end', () => {
    const [a, b, c] = utf8.encode('☃');
    const bytes = (...list: number[]) => Uint8Array.from(list);
    assert.deepEqual(fed([bytes(a), bytes(b), bytes(c)], []), { parts: ['', '', '☃'], rest: '', stopped: false });
    assert.deepEqual(fed(['x', bytes(a, b)], []), { parts: ['x', ''], rest: '\ufffd', stopped: false });
    assert.deepEqual(fed([bytes(a), 'y'], []), { parts: ['', '\ufffdy'], rest: '', stopped: false });
    assert.deepEqual(fed(['\ufeffx'], []).parts, ['\ufeffx']);
  });

  test('is all of the text before the first stop string, in pieces that no later token changes', () => {
    const letters = fc.array(fc.constantFrom('a', 'b', 'ab', 'ba', 'aab', '☃', 'é'), { maxLength: 30 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '☃'), minLength: 1, maxLength: 4 }), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(letters, stops, fc.boolean(), (pieces, list, in_bytes) => {
        const whole = pieces.join('');
        const tokens = in_bytes ? Array.from(utf8.encode(whole), (byte) => Uint8Array.of(byte)) : pieces;
        const { parts, rest, stopped } = fed(tokens, list);
        const ends = list.flatMap((stop) => (whole.includes(stop) ? [whole.indexOf(stop) + stop.length] : []));
        const first = Math.min(...ends);
        const found = list.filter((stop) => whole.slice(0, first).endsWith(stop)).map((stop) => first - stop.length);
        assert.equal(stopped, ends.length > 0);
        assert.equal(parts.join('') + rest, stopped ? whole.slice(0, Math.min(...found)) : whole);
        for (const part of parts) assert.ok(part.isWellFormed() && !part.includes('\ufffd'));
      }),
    );
  });
});

// A sample as people read it: no wall of signs that say "not a character", no half word at its beginning, nothing that was not written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readable } from './sample-text.ts';

const shown = (prompt: string, text: string) =>
  readable({ prompt, text })
    .pieces.map(({ text }) => text)
    .join('');

test('a wall of bytes that are no text becomes a few dots, and how much of it there was is known', () => {
  const { pieces, unread } = readable({ prompt: 'It was ', text: `${'\uFFFD'.repeat(150)}the hou` });
  assert.deepEqual(
    pieces.map(({ kind, text }) => [kind, text]),
    [
      ['given', 'It was '],
      ['unread', '········'],
      ['written', 'the hou'],
    ],
  );
  assert.ok(Math.abs(unread - 150 / 157) < 1e-9);
});

test('the end of a broken word gives way to dots; a whole word at the beginning stays', () => {
  assert.equal(shown('ke?\n\nROMEO: ', 'my'), '… ROMEO: my');
  assert.equal(shown('Now is the ', 'hou'), 'Now is the hou');
  assert.equal(shown('was it', ''), '… it');
  assert.equal(shown('unbroken', '!'), '…unbroken!');
});

test('what a stranger writes stays text of several lines, without what turns lines around', () => {
  assert.equal(shown('', '<b>\u202eold\u0000\nnew'), '<b>old\nnew');
  assert.deepEqual(readable({ prompt: '', text: '' }), { pieces: [], unread: 0 });
});

test('one character that is none stays one', () => {
  assert.equal(shown('A', 'b\uFFFDc'), 'Ab·c');
});

// The reader finds the same calls however a text is cut, and never invents one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CHAT_TEMPLATES, callHead, type Tool } from './chat-templates.ts';
import { grammarOf } from './grammar/forms.ts';
import { allows } from './grammar/grammar.ts';
import { tokenTable } from './grammar/testing/token-table.ts';
import { callReader, callsForm, maybeCallsForm } from './tool-calls.ts';

const marks = CHAT_TEMPLATES.chatml.calls!;
const tools: Tool[] = [
  {
    name: 'weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    },
  },
  { name: 'now', parameters: { type: 'object', properties: {}, additionalProperties: false } },
];

const spelled = (name: string, given: unknown): string =>
  `${marks.open}${callHead(name)}${JSON.stringify(given)}}${marks.close}`;

function read(pieces: readonly string[]): { text: string; calls: readonly { name: string; arguments: string }[] } {
  const reader = callReader(tools, marks);
  let text = '';
  for (const piece of pieces) text += reader.push(piece);
  const rest = reader.end();
  return { text: text + rest.text, calls: rest.calls };
}

const calls = fc.array(
  fc
    .oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('<tool_call>', '</tool_call>', '"}', '\\', '{['))
    .map((city) => ({ city })),
  { minLength: 1, maxLength: 3 },
);

describe('calls of tools', () => {
  it('are read from a text cut anywhere, whatever their strings hold', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('', 'Let me see.', 'a <tool', '1 < 2'),
        calls,
        fc.array(fc.nat(400), { maxLength: 12 }),
        (said, given, cuts) => {
          const text = [said, ...given.map((value) => spelled('weather', value))].join('\n');
          const places = [...new Set([0, ...cuts.filter((cut) => cut < text.length), text.length])].sort(
            (a, b) => a - b,
          );
          const pieces = places.slice(1).map((to, i) => text.slice(places[i], to));
          assert.deepEqual(read(pieces), {
            text: said,
            calls: given.map((value) => ({ name: 'weather', arguments: JSON.stringify(value) })),
          });
        },
      ),
      { numRuns: 300 },
    );
  });

  it('hold back no more text than may begin a call', () => {
    const reader = callReader(tools, marks);
    assert.equal(reader.push('Hello <b'), 'Hello <b');
    assert.equal(reader.push(' <tool_'), '');
    assert.equal(reader.push('box>'), ' <tool_box>');
    assert.equal(reader.push(' '), '');
    assert.deepEqual(reader.end(), { text: ' ', calls: [] });
  });

  it('that an answer ended in are none', () => {
    const whole = spelled('now', {});
    for (let length = 1; length < whole.length; length++) {
      const cut = read([`So: ${whole}\n${whole.slice(0, length)}`]);
      assert.equal(cut.calls.length, 1, whole.slice(0, length));
      assert.ok(cut.text.startsWith('So:'), cut.text);
    }
  });

  it('that cannot be read are refused', () => {
    const bad = [
      spelled('weather', { town: 'x' }),
      spelled('weather', {}),
      spelled('other', {}),
      `${marks.open}{"name": "now"}${marks.close}`,
      `${marks.open}{"name": now}${marks.close}`,
      `${marks.open}[]${marks.close}`,
      `${marks.open}{"name": "now", "arguments": {}} and${marks.close}`,
    ];
    for (const text of bad) assert.throws(() => read([text]), { code: 'bad-grammar' }, text);
  });

  it('are held to their form: what it allows is read, one call or several, and free text where it may be', () => {
    const table = tokenTable([]);
    const goesOn = (form: Parameters<typeof grammarOf>[0], text: string): boolean => {
      const grammar = grammarOf(form, table).open();
      for (const byte of new TextEncoder().encode(text)) {
        if (!allows(grammar.mask(), byte)) return false;
        grammar.accept(byte);
      }
      return allows(grammar.mask(), table.end_ids[0]);
    };
    const one = callsForm(tools, marks, false);
    const several = callsForm(tools, marks, true);
    const free = maybeCallsForm(several, marks);
    const now = spelled('now', {});
    const rain = spelled('weather', { city: '<tool_call>' });
    const cases: [string, boolean, boolean, boolean][] = [
      [now, true, true, true],
      [`${now}\n${rain}\n${now}`, false, true, true],
      [`Hm.\n${rain}`, false, false, true],
      ['Hm. <tool', false, false, true],
      ['', false, false, true],
      [`${now} more`, false, false, false],
      [spelled('now', { a: 1 }), false, false, false],
      [spelled('no', {}), false, false, false],
    ];
    for (const [text, by_one, by_several, by_free] of cases) {
      assert.deepEqual(
        [one, several, free].map((form) => goesOn(form, text)),
        [by_one, by_several, by_free],
        text,
      );
      if (by_free) read([text]);
    }
  });
});

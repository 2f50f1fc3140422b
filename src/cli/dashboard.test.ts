// The demo's picture: nothing wraps, names line up, numbers stay calm, and drawing it again touches only its own lines.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import type { PeerView, RunStatus } from '../protocol/messages.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { bar, type Picture, paceOf, renderRun, sparkline } from './dashboard.ts';
import { liveBlock } from './live-block.ts';
import { printable } from './output.ts';
import { clip, columnsOf, padTo, wrap } from './text-columns.ts';

const HASH = 'a'.repeat(64);
const peer = (name: string, more: Partial<PeerView> = {}): PeerView => ({
  id: HASH,
  name,
  role: 'worker',
  runtime: 'native-cpu',
  present: true,
  credit_amount: 50,
  merged_submissions: 1,
  refused_submissions: 0,
  progress: {
    state: 'working',
    round: 3,
    amount: 15,
    amount_per_second: 4123.4,
    numbers: { steps: 15, loss_micro: 3000000 },
  },
  bytes_up: 0,
  bytes_down: 0,
  ...more,
});
const run = (more: Partial<RunStatus> = {}): RunStatus => ({
  run: HASH,
  name: 'Potluck demo',
  game: 'pretrain',
  params: HASH,
  phase: 'working',
  round: 7,
  rounds: 36,
  attempt: 0,
  seed: HASH,
  remaining_ms: 9000,
  model: HASH,
  owner: HASH,
  round_ms: 1000,
  judging_ms: 1000,
  min_workers: 1,
  workers_needed: 1,
  peers: [
    peer('validator', { role: 'validator', progress: null }),
    peer('worker 2', { present: false, progress: null }),
    peer('worker 1'),
  ],
  submitted: 0,
  merged_amount: 1_234_567,
  bytes_submitted: 123_456,
  dense_bytes: 26_500_000,
  amount_per_second: 12_345,
  unit: 'tokens',
  numbers: { work: [], verdict: [] },
  metrics: [{ name: 'loss_micro', words: 'validation loss', unit: 'nats', better: 'lower', first: 5.6, last: 3.2 }],
  evaluated_rounds: 7,
  problem: null,
  ...more,
});
const picture = (more: Partial<Picture> = {}): Picture => ({
  run: run(),
  losses: [5.6, 5, 4.4, 4, 3.6, 3.4, 3.3, 3.2].map((loss, merged_rounds) => ({ merged_rounds, loss })),
  steps: 30,
  expected: ['worker 1', 'worker 2', 'worker 3', 'validator'],
  time_left_ms: 95_000,
  columns: 80,
  rows: 24,
  ...more,
});
const plain = (lines: readonly string[]): string[] => lines.map((line) => stripVTControlCharacters(line).trimEnd());

describe('a picture', () => {
  test('of eighty columns', () => {
    assert.deepEqual(plain(renderRun(picture())), [
      'Potluck demo  run aaaaaaaaaaaa',
      '',
      'rounds    ██████░░░░░░░░░░░░░░░░░░░░░░░░ 7 of 36  about 1 min 35 s left',
      'loss      5.600 █▆▅▃▂▂▁▁ 3.200  on text that nobody trains on',
      'speed     12,345 tokens/s, 1,234,567 tokens merged',
      'sent      123 kB  215x less than 26.5 MB of dense float32',
      '',
      'worker 1   working      ████████░░░░░░░░ 15/30   4,123 tokens/s  share 33 %',
      'worker 2   away         share 33 %',
      'worker 3   starting',
      "validator  waiting      checks everybody's work",
    ]);
  });

  test('of a run in stages says who holds which', () => {
    const peers = [peer('worker 1', { stage: 2 }), peer('worker 2', { stage: 0, progress: null })];
    const lines = plain(renderRun(picture({ run: run({ peers, stages: 3 }) })));
    assert.deepEqual(lines.slice(7, 9), [
      'worker 1   working      ████████░░░░░░░░ 15/30   stage 3 of 3    share 50 %',
      'worker 2   waiting      ░░░░░░░░░░░░░░░░         stage 1 of 3    share 50 %',
    ]);
  });

  test('from the first second on', () => {
    const first = run({
      phase: 'gathering',
      round: 0,
      peers: [],
      bytes_submitted: 0,
      dense_bytes: 0,
      amount_per_second: 0,
      merged_amount: 0,
    });
    assert.deepEqual(plain(renderRun(picture({ run: first, losses: [], time_left_ms: null }))).slice(2), [
      'rounds    ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 0 of 36  waiting for workers, 0 here',
      'loss      the validator measures it first',
      'speed     0 tokens/s, 0 tokens merged',
      'sent      nothing yet',
      '',
      'worker 1   starting',
      'worker 2   starting',
      'worker 3   starting',
      'validator  starting',
    ]);
  });

  test('at the end shows who has done what', () => {
    const ended = run({ phase: 'finished', round: 36, peers: [peer('worker 1', { present: false, progress: null })] });
    const lines = plain(renderRun(picture({ run: ended, expected: [] })));
    assert.deepEqual(
      [lines[2], lines[7]],
      ['rounds    ██████████████████████████████ 36 of 36  finished', 'worker 1  done         share 100 %'],
    );
  });

  test('of many peers says how many are not shown', () => {
    const peers = Array.from({ length: 64 }, (_, i) => peer(`worker ${i + 1}`));
    const lines = plain(renderRun(picture({ run: run({ peers }), expected: peers.map(({ name }) => name) })));
    assert.equal(lines.length, 23);
    assert.equal(lines.at(-1), '… and 49 more');
  });

  test('is never wider or higher than its terminal, whatever peers are called and do', () => {
    const state = fc.constantFrom('waiting', 'catching up', 'working', 'sending', 'judging', 'evaluating', 'paused');
    const progress = fc.record({
      state,
      round: fc.nat(),
      amount: fc.nat(1e9),
      amount_per_second: fc.nat(1e12),
      numbers: fc.record({ steps: fc.nat(1e6) }),
    });
    const someone = fc
      .record({
        name: fc.string({ unit: fc.constantFrom(...'ab 日é🎉\x1b\n\u0301\u202e'), maxLength: 60 }),
        present: fc.boolean(),
        progress: fc.option(progress),
        credit_amount: fc.nat(),
      })
      .map((more) => peer(more.name, more as Partial<PeerView>));
    fc.assert(
      fc.property(
        fc.array(someone, { maxLength: 30 }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 2, max: 60 }),
        fc.array(fc.double({ noNaN: true, min: 0, max: 20 }), { maxLength: 100 }),
        fc.string({ unit: 'binary', maxLength: 80 }),
        (peers, columns, rows, losses, name) => {
          const lines = renderRun(
            picture({
              run: run({ peers, name }),
              columns,
              rows,
              losses: losses.map((loss, merged_rounds) => ({ merged_rounds, loss })),
            }),
          );
          assert.ok(lines.length <= Math.max(1, rows - 1));
          for (const line of lines) {
            assert.ok(columnsOf(line) <= columns, JSON.stringify(line));
            // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
            assert.doesNotMatch(stripVTControlCharacters(line), /[\u0000-\u001f\u007f-\u009f]/);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});

test('bars, sparklines and durations', () => {
  assert.deepEqual(
    [bar(0, 4), bar(0.5, 4), bar(1, 4), bar(7, 4), bar(-1, 4)],
    ['░░░░', '██░░', '████', '████', '░░░░'],
  );
  assert.equal(sparkline([4, 3, 2, 1], 3), '█▅▁');
  assert.equal(sparkline([2, 2], 5), '▁▁');
});

test('the pace is calm: a speed while nobody trains, a time left that only rounds change', () => {
  const pace = paceOf();
  assert.equal(pace(run({ phase: 'gathering', round: 0, amount_per_second: 0 }), 0).time_left_ms, null);
  assert.equal(pace(run({ round: 0, rounds: 10, amount_per_second: 900 }), 1000).time_left_ms, null);
  const judging = pace(run({ round: 0, rounds: 10, phase: 'judging', amount_per_second: 0 }), 5000);
  assert.deepEqual([judging.run.amount_per_second, judging.time_left_ms], [900, null]);
  assert.equal(pace(run({ round: 1, rounds: 10 }), 11_000).time_left_ms, 90_000);
  assert.equal(pace(run({ round: 1, rounds: 10 }), 16_000).time_left_ms, 85_000);
  assert.equal(pace(run({ round: 2, rounds: 10 }), 21_000).time_left_ms, 80_000);
  assert.equal(pace(run({ round: 2, rounds: 10 }), 500_000).time_left_ms, 0);
});

test('columns of a text', () => {
  assert.deepEqual(
    ['abc', '日本', 'é', 'e\u0301', '🎉', '\x1b[31mred\x1b[39m', ''].map(columnsOf),
    [3, 4, 1, 1, 2, 3, 0],
  );
  assert.equal(clip('日本語', 5), '日本');
  assert.equal(clip('\x1b[31mred\x1b[39m!', 2), '\x1b[31mre\x1b[39m');
  assert.equal(padTo('日', 4), '日  ');
  assert.equal(padTo('long', 2), 'long');
});

test('long texts are wrapped between words, or in them where there is no other way', () => {
  assert.deepEqual(wrap('one two three\nfour', 8), ['one two', 'three', 'four']);
  assert.deepEqual(wrap('abcdefghij kl', 4), ['abcd', 'efgh', 'ij', 'kl']);
  assert.deepEqual(wrap('', 4), ['']);
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'bc', ' ', '日', '\n'), maxLength: 80 }),
      fc.integer({ min: 2, max: 30 }),
      (text, columns) => {
        const lines = wrap(text, columns);
        for (const line of lines) assert.ok(columnsOf(line) <= columns);
        assert.equal(lines.join('').replaceAll(' ', ''), text.replace(/[ \n]/g, ''));
      },
    ),
  );
});

test('strangers’ texts keep their colours and lose what moves the cursor', () => {
  assert.equal(printable('a\x1b[31mb\x1b[0m\nc\td'), 'a\x1b[31mb\x1b[0m\nc\td');
  assert.equal(printable('a\x1b[2Jb\x1b]0;t\x07c\rd\u202ee\x9bf'), 'a[2Jb]0;tcdef');
  assert.equal(nameOf(' two\nlines \x1b[31m'), 'two lines');
  assert.equal(nameOf('\x00\n'), '?');
});

/** A terminal of a few rows that obeys what live blocks say. */
function screen(columns: number, rows: number) {
  const lines: string[] = [''];
  let at = 0;
  let unknown = '';
  return {
    columns,
    rows,
    lines: () => lines.map((line) => line.trimEnd()),
    unknown: () => unknown,
    write(text: string) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences are what is read here
      for (const [token] of text.matchAll(/\x1b\[\??\d*[A-Za-z]|\n|\r|[^\x1b\n\r]+/g)) {
        if (token.endsWith('A') && token.startsWith('\x1b')) at = Math.max(0, at - Number(token.slice(2, -1)));
        else if (token === '\n') {
          at++;
          lines[at] ??= '';
        } else if (token === '\x1b[J') lines.splice(at, Number.POSITIVE_INFINITY, '');
        else if (token === '\x1b[2J') lines.fill('');
        else if (token === '\x1b[H') at = 0;
        else if (token === '\r' || token === '\x1b[K' || token.startsWith('\x1b[?')) continue;
        else if (token.startsWith('\x1b')) unknown += token;
        else lines[at] = token;
      }
      return true;
    },
  };
}

describe('a live block', () => {
  test('is drawn over itself; what is said stands above it', () => {
    const terminal = screen(20, 10);
    const block = liveBlock(terminal);
    block.say('before');
    block.draw(['one', 'two', 'three']);
    block.draw(['1', '2']);
    assert.deepEqual(terminal.lines(), ['before', '1', '2', '']);
    block.say('news\nin two lines');
    block.draw(['1', '2', '3']);
    assert.deepEqual(terminal.lines(), ['before', 'news', 'in two lines', '1', '2', '3', '']);
    block.end();
    block.say('after');
    assert.deepEqual(terminal.lines(), ['before', 'news', 'in two lines', '1', '2', '3', 'after', '']);
    assert.equal(terminal.unknown(), '');
  });

  test('writes nothing when nothing changed, and gives the cursor back', () => {
    const terminal = screen(20, 10);
    let written = '';
    const block = liveBlock({
      columns: 20,
      rows: 10,
      write: (text) => {
        written += text;
        return terminal.write(text);
      },
    });
    block.draw(['a']);
    const before = written.length;
    block.draw(['a']);
    assert.equal(written.length, before);
    block.end();
    block.end();
    assert.deepEqual([written.split('\x1b[?25l').length, written.split('\x1b[?25h').length], [2, 2]);
  });

  test('keeps to the rows that there are, and begins anew on another width', () => {
    const terminal = screen(20, 4);
    const block = liveBlock(terminal);
    block.draw(['1', '2', '3', '4', '5']);
    assert.deepEqual(terminal.lines(), ['1', '2', '3', '']);
    terminal.columns = 10;
    block.draw(['a', 'b']);
    assert.deepEqual(terminal.lines().slice(0, 3), ['a', 'b', '']);
  });
});

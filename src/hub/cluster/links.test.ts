// Links between processes: what comes is all that was sent, in order, up to where the link ends; and both ends hear that it has ended.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../protocol/random.ts';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { LINK_LIMITS, type Link, openLinks } from './links.ts';
import { openMemoryEngine } from './memory-bus.ts';

function setUp(seed = 0) {
  const clock = handClock();
  const engine = openMemoryEngine(seededRandom('links', seed));
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const open = (name: string) =>
    openLinks({
      ...{ own: name, clock, subject: (to: string) => `link.${to}`, onError },
      bus: engine.open(name, clock, onError),
    });
  const ends = (got: number[][] = []) => ({
    got,
    opened: [] as Link[],
    ended: [] as Link[],
    onOpen(link: Link): void {
      this.opened.push(link);
    },
    onMessage(_: Link, bytes: Uint8Array): void {
      got.push([...bytes.subarray(0, 1)]);
    },
    onEnd(link: Link): void {
      this.ended.push(link);
    },
  });
  const pass = (duration_ms: number): void => {
    for (let ms = 0; ms < duration_ms; ms += 5) clock.move(5);
  };
  const [a, b] = [open('a'), open('b')];
  const [alice, bob] = [ends(), ends()];
  b.listen(bob);
  return { clock, engine, errors, a, b, alice, bob, pass, open };
}

const PIECE = new Uint8Array(1 << 19);

describe('a link', () => {
  test('brings what either end says, in order, and stays while both are there', () => {
    const { a, alice, bob, pass, errors } = setUp();
    const link = a.dial('b', alice);
    pass(20);
    const [other] = bob.opened;
    assert.deepEqual([link.other, other.other], ['b', 'a']);
    for (let n = 0; n < 5; n++) {
      link.send(Uint8Array.of(n));
      other.send(Uint8Array.of(10 + n));
    }
    pass(60_000);
    assert.deepEqual(
      [bob.got, alice.got],
      [
        [[0], [1], [2], [3], [4]],
        [[10], [11], [12], [13], [14]],
      ],
    );
    assert.deepEqual([alice.ended, bob.ended, bob.opened.length, errors], [[], [], 1, []]);
  });

  test('ends at both ends when a message is lost, the last one too, and another may be dialled', () => {
    for (const more of [0, 1]) {
      const { a, alice, bob, pass, engine } = setUp();
      const link = a.dial('b', alice);
      pass(20);
      engine.weather.lost_permille = 1000;
      link.send(Uint8Array.of(1));
      engine.weather.lost_permille = 0;
      for (let n = 0; n < more; n++) link.send(Uint8Array.of(2));
      pass(LINK_LIMITS.beat_ms + 20);
      assert.deepEqual([alice.ended, bob.ended], [[link], bob.opened]);
      assert.deepEqual(bob.got, [], 'nothing comes behind what is missing');
      link.send(Uint8Array.of(3));
      const next = a.dial('b', alice);
      pass(20);
      next.send(Uint8Array.of(4));
      pass(20);
      assert.deepEqual(bob.got, [[4]]);
    }
  });

  test('of which one end has ended, and could not say so, ends at the next beat of the other', () => {
    const { a, alice, bob, pass, engine } = setUp();
    const link = a.dial('b', alice);
    pass(20);
    engine.weather.lost_permille = 1000;
    for (let n = 0; n < LINK_LIMITS.most_bytes / PIECE.length; n++) link.send(PIECE);
    assert.equal(link.ended, false);
    link.send(PIECE);
    engine.weather.lost_permille = 0;
    assert.equal(link.ended, true);
    pass(LINK_LIMITS.beat_ms + 20);
    assert.equal(bob.ended.length, 1);
  });

  test('ends when the other process is gone, or never was there; at once where it says goodbye', () => {
    const { a, b, alice, pass, engine } = setUp();
    const nobody = a.dial('c', alice);
    pass(LINK_LIMITS.silence_ms + LINK_LIMITS.beat_ms);
    assert.deepEqual(alice.ended, [nobody]);
    const link = a.dial('b', alice);
    pass(LINK_LIMITS.silence_ms + LINK_LIMITS.beat_ms);
    assert.equal(link.ended, false);
    b.close();
    pass(10);
    assert.equal(link.ended, true);
    engine.gone('b');
  });

  test('outlives a process that stood still, and messages of links that are over', () => {
    const { a, alice, bob, pass, clock } = setUp();
    const link = a.dial('b', alice);
    pass(20);
    clock.move(10 * LINK_LIMITS.silence_ms);
    pass(100);
    link.send(Uint8Array.of(1));
    pass(20);
    assert.deepEqual([link.ended, bob.got], [false, [[1]]]);
    // Who dials again has no other link to the same process.
    const again = a.dial('b', alice);
    pass(20);
    link.send(Uint8Array.of(2));
    again.send(Uint8Array.of(3));
    pass(20);
    assert.deepEqual([link.ended, again.ended, bob.got.slice(1)], [true, false, [[3]]]);
  });

  test('lets its sender wait while the other end has not heard a window, and ends where it does not wait', async () => {
    const { a, alice, bob, pass, engine, clock } = setUp();
    const link = a.dial('b', alice);
    pass(20);
    engine.weather.delay_ms = 100;
    const begun_ms = clock.elapsed_ms();
    let [sent, waits] = [0, true];
    const sender = (async () => {
      for (; sent < 40; sent++) {
        await link.room();
        link.send(PIECE);
      }
      waits = false;
    })();
    for (let n = 0; n < 100; n++) await Promise.resolve();
    assert.equal(sent, LINK_LIMITS.window_bytes / PIECE.length + 1);
    while (waits) {
      pass(50);
      for (let n = 0; n < 20; n++) await Promise.resolve();
    }
    await sender;
    assert.ok(clock.elapsed_ms() - begun_ms < LINK_LIMITS.beat_ms, 'no window waits for a beat');
    pass(500);
    assert.equal(bob.got.length, 40);
    for (let n = 0; !link.ended; n++) {
      assert.ok(n <= LINK_LIMITS.most_bytes / PIECE.length);
      link.send(PIECE);
    }
    await link.room();
  });

  test('never brings one twice, out of order, or after one that was lost, whatever the bus does', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('a'), n: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ kind: fc.constant('b'), n: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ kind: fc.constant('wait'), n: fc.integer({ min: 1, max: 300 }) }),
      fc.record({ kind: fc.constant('lose'), n: fc.integer({ min: 0, max: 300 }) }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), fc.array(step, { maxLength: 30 }), (seed, steps) => {
        const { a, alice, bob, pass, engine } = setUp(seed);
        engine.weather.jitter_ms = 20;
        const link = a.dial('b', alice);
        pass(60);
        const [other] = bob.opened;
        const sent: Record<string, number[][]> = { a: [], b: [] };
        for (const { kind, n } of steps) {
          if (kind === 'wait') pass(n * 10);
          else if (kind === 'lose') engine.weather.lost_permille = n;
          else {
            const end = kind === 'a' ? link : other;
            for (let i = 0; i < n; i++) {
              if (end.ended) continue;
              sent[kind].push([sent[kind].length]);
              end.send(Uint8Array.of(sent[kind].length - 1));
            }
          }
        }
        engine.weather.lost_permille = 0;
        pass(2 * LINK_LIMITS.beat_ms);
        for (const [got, all] of [[bob.got, sent.a] as const, [alice.got, sent.b] as const]) {
          assert.deepEqual(got, all.slice(0, got.length));
          if (!link.ended) assert.equal(got.length, all.length);
        }
        assert.equal(link.ended, other.ended);
        assert.deepEqual([alice.ended.length, bob.ended.length], link.ended ? [1, 1] : [0, 0]);
      }),
      { numRuns: 100 },
    );
  });
});

// Devices that talk through a hub's stand-in: what was taken was whole, in order and once; what was lost is said, and the next message begins anew.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createIdentity } from '../protocol/identity.ts';
import { type FromRelayingPeer, RELAY_FRAME, RELAY_LIMITS } from '../protocol/relay-messages.ts';
import { openRelaySession } from '../protocol/relay-seal.ts';
import { type HandClock, handClock } from '../protocol/testing/hand-clock.ts';
import { openRelayChannel, type RelayChannel } from './relay-channel.ts';

const RUN = 'a'.repeat(64);
const KEYS = [createIdentity(), createIdentity()];
const [ALICE, BOB] = KEYS.map(({ id }) => id);
type Frame = Extract<FromRelayingPeer, { type: 'relay' }>;

interface World {
  readonly alice: RelayChannel;
  readonly bob: RelayChannel;
  readonly clock: HandClock;
  readonly problems: string[];
  /** Frames that have passed, and the most from one device that were not taken. */
  readonly seen: { frames: number; most_waiting: number };
  /** What becomes of a frame: passed on as it is, as it comes back from here, or dropped (null). */
  tamper: (frame: Frame) => Frame | null;
  /** Whether devices have a connection. */
  connected: boolean;
  lose(to: string, code: string): void;
}

/** Two devices, and a hub that passes on what they say, each message in a turn of its own. */
function world(): World {
  const clock = handClock();
  const channels = new Map<string, RelayChannel>();
  const waiting = new Map<string, number[]>();
  const problems: string[] = [];
  const seen = { frames: 0, most_waiting: 0 };
  const pass = (by: string, message: FromRelayingPeer): void => {
    if (message.type === 'relay-taken') {
      waiting.set(
        message.from,
        (waiting.get(message.from) ?? []).filter((number) => number > message.number),
      );
      channels.get(message.from)?.hear({ type: 'relay-taken', by, number: message.number, opened: message.opened });
      return;
    }
    const frame = made.tamper(message);
    const out = [...(waiting.get(by) ?? []), message.number];
    waiting.set(by, out);
    seen.frames++;
    seen.most_waiting = Math.max(seen.most_waiting, out.length);
    if (frame) channels.get(frame.to)?.hear({ type: 'relay', from: by, number: frame.number, sealed: frame.sealed });
  };
  const open = (i: number): RelayChannel => {
    const identity = KEYS[i];
    const channel = openRelayChannel({
      ...{
        run: RUN,
        identity,
        clock,
        random: () => 0.5,
        stages: () => new Map(),
        proven: () => new Set(),
        held: () => null,
      },
      send(message) {
        if (made.connected) setImmediate(() => pass(identity.id, message));
        return made.connected;
      },
      onProblem: (_, message) => void problems.push(message),
    });
    channels.set(identity.id, channel);
    return channel;
  };
  const made: World = {
    ...{ alice: open(0), bob: open(1), clock, problems, seen },
    tamper: (frame) => frame,
    connected: true,
    lose(to, code) {
      waiting.clear();
      channels.get(to === BOB ? ALICE : BOB)!.hear({ type: 'relay-lost', to, code });
    },
  };
  return made;
}

const isCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;
const message = (length: number, first = 0): Uint8Array => new Uint8Array(length).map((_, i) => first + i * 7);
/** Collects what a device hears. */
function collect(channel: RelayChannel): Uint8Array[] {
  const heard: Uint8Array[] = [];
  channel.listen(async (_, bytes) => void heard.push(bytes));
  return heard;
}

describe('a device that talks to another', () => {
  test('sends messages of every length, in order, and knows when they are taken', async () => {
    const { alice, bob } = world();
    const heard = collect(bob);
    const sent = [0, 1, 59_983, 59_984, 150_000].map((length, i) => message(length, i));
    await Promise.all(sent.map((bytes) => alice.send(BOB, bytes)));
    assert.deepEqual(heard, sent);
  });

  test('talks both ways at once', async () => {
    const { alice, bob } = world();
    const [atAlice, atBob] = [collect(alice), collect(bob)];
    await Promise.all([alice.send(BOB, message(3)), bob.send(ALICE, message(5))]);
    assert.deepEqual([atAlice, atBob], [[message(5)], [message(3)]]);
  });

  test('waits for a listener, and for one that takes its time; frames that wait are bounded', async () => {
    const { alice, bob, seen } = world();
    const big = message(RELAY_LIMITS.sealed_bytes * 40);
    let taken = 0;
    const sending = Promise.all([alice.send(BOB, message(1)).then(() => taken++), alice.send(BOB, big)]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(taken, 0, 'nobody listens yet');
    const gate = Promise.withResolvers<void>();
    bob.listen(() => gate.promise);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(taken, 0, 'the listener is not done');
    gate.resolve();
    await sending;
    assert.ok(seen.most_waiting <= RELAY_LIMITS.window_frames, `${seen.most_waiting} frames waited`);
  });

  test('goes on when a listener throws: that is told, and the message counts as taken', async () => {
    const { alice, bob, problems } = world();
    bob.listen(() => Promise.reject(new Error('nonsense')));
    await alice.send(BOB, message(1));
    assert.match(problems[0], /could not be used: nonsense/);
  });

  test('is told at once that a message is too large, and that too many wait', async () => {
    const { alice } = world();
    await assert.rejects(alice.send(BOB, new Uint8Array(RELAY_LIMITS.message_bytes + 1)), isCode('too-large'));
    const all = Array.from({ length: RELAY_LIMITS.waiting_messages }, () => alice.send(BOB, message(1)));
    await assert.rejects(alice.send(BOB, message(1)), isCode('peer-busy'));
    alice.away();
    const ends = await Promise.allSettled(all);
    assert.ok(ends.every((end) => end.status === 'rejected' && isCode('disconnected')(end.reason)));
  });

  test('may give up a message; the next one comes whole', async () => {
    const { alice, bob } = world();
    const given = new AbortController();
    const first = alice.send(BOB, message(10), given.signal);
    given.abort(new Error('late'));
    await assert.rejects(first, /late/);
    await assert.rejects(alice.send(BOB, message(1), given.signal), /late/);
    const heard = collect(bob);
    await alice.send(BOB, message(20));
    assert.deepEqual(heard, [message(20)]);
  });
});

describe('what is lost', () => {
  for (const [code, error] of [
    ['not-here', 'peer-not-here'],
    ['gone', 'peer-not-here'],
    ['not-in-run', 'disconnected'],
    ['busy', 'peer-busy'],
    ['too-many-partners', 'peer-busy'],
    ['something-new', 'channel-broken'],
  ]) {
    test(`is said: ${code}; the next message begins anew`, async () => {
      const { alice, bob, lose } = world();
      const sending = alice.send(BOB, message(1));
      await new Promise((resolve) => setTimeout(resolve, 5));
      lose(BOB, code);
      await assert.rejects(sending, isCode(error));
      const heard = collect(bob);
      await alice.send(BOB, message(2));
      assert.deepEqual(heard.at(-1), message(2));
    });
  }

  test('ends with the connection: nothing is sent again by itself', async () => {
    const made = world();
    const heard = collect(made.bob);
    await made.alice.send(BOB, message(1));
    made.connected = false;
    await assert.rejects(made.alice.send(BOB, message(2)), isCode('disconnected'));
    made.connected = true;
    for (const channel of [made.alice, made.bob]) channel.away();
    await made.alice.send(BOB, message(3));
    assert.deepEqual(heard, [message(1), message(3)]);
  });

  test('is not sent after all when the next session is open', async () => {
    const { alice, bob, lose } = world();
    const heard = collect(bob);
    const waiting = alice.send(BOB, message(1)); // nothing of it has left: the session is not open yet
    lose(BOB, 'gone');
    await assert.rejects(waiting, isCode('peer-not-here'));
    await alice.send(BOB, message(2));
    assert.deepEqual(heard, [message(2)]);
  });

  test('shows where a device does not answer within its time', async () => {
    const made = world();
    made.tamper = ({ sealed, ...frame }) => (sealed[0] === RELAY_FRAME.hello ? null : { ...frame, sealed });
    const sending = made.alice.send(BOB, message(1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    made.clock.move(RELAY_LIMITS.open_ms);
    await assert.rejects(sending, isCode('channel-broken'));
  });
});

describe('a hub that is not honest', () => {
  /** Changes the n-th frame of a kind. */
  const change = (made: World, kind: number, to: (sealed: Uint8Array) => Uint8Array | null): void => {
    let done = false;
    made.tamper = (frame) => {
      if (done || frame.sealed[0] !== kind) return frame;
      done = true;
      const sealed = to(frame.sealed);
      return sealed && { ...frame, sealed };
    };
  };
  const flipped = (sealed: Uint8Array): Uint8Array =>
    sealed.map((byte, i) => (i === sealed.length - 1 ? byte ^ 1 : byte));

  test('can lose a message, but not change one or put another in its place', async () => {
    for (const kind of [RELAY_FRAME.last, RELAY_FRAME.more]) {
      const made = world();
      const heard = collect(made.bob);
      change(made, kind, flipped);
      await assert.rejects(made.alice.send(BOB, message(100_000)), isCode('channel-broken'));
      await made.alice.send(BOB, message(3));
      assert.deepEqual(heard, [message(3)]);
    }
  });

  test('can answer for no device', async () => {
    const made = world();
    const heard = collect(made.bob);
    change(made, RELAY_FRAME.reply, flipped);
    const sending = made.alice.send(BOB, message(1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    made.clock.move(RELAY_LIMITS.open_ms);
    await assert.rejects(sending, isCode('channel-broken'));
    assert.deepEqual(heard, []);
  });

  test('can begin no session in the name of a device', async () => {
    const made = world();
    change(made, RELAY_FRAME.hello, flipped);
    const sending = made.alice.send(BOB, message(1));
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.match(made.problems[0], /signed by/);
    made.alice.away();
    await assert.rejects(sending, isCode('disconnected'));
  });

  test('can send nonsense: it is no message, and nothing fails', async () => {
    const made = world();
    const heard = collect(made.bob);
    for (const sealed of [[], [0], [9, 9], [RELAY_FRAME.last], [RELAY_FRAME.more, 1, 2]]) {
      made.bob.hear({ type: 'relay', from: ALICE, number: 1, sealed: new Uint8Array(sealed) });
    }
    made.bob.hear({ type: 'relay-taken', by: ALICE, number: 99, opened: true });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await made.alice.send(BOB, message(3));
    assert.deepEqual(heard, [message(3)]);
  });

  test('and no sender makes a device keep more than a message', async () => {
    const said: FromRelayingPeer[] = [];
    const bob = openRelayChannel({
      ...{
        run: RUN,
        identity: KEYS[1],
        clock: handClock(),
        random: () => 0.5,
        stages: () => new Map(),
        held: () => null,
        proven: () => new Set(),
        onProblem: () => {},
      },
      send: (spoken) => said.push(spoken) > 0,
    });
    const heard = collect(bob);
    const opening = await openRelaySession(KEYS[0], { run: RUN, from: ALICE, to: BOB });
    let number = 0;
    const say = (kind: number, body: Uint8Array): void =>
      bob.hear({ type: 'relay', from: ALICE, number: ++number, sealed: Buffer.concat([Buffer.of(kind), body]) });
    say(RELAY_FRAME.hello, opening.hello);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const frames = (): Frame[] => said.filter((spoken) => spoken.type === 'relay');
    const seal = opening.accept(frames()[0].sealed.subarray(1));
    const part = new Uint8Array(RELAY_LIMITS.sealed_bytes - 20);
    const whole = Math.floor(RELAY_LIMITS.message_bytes / part.length);
    for (let i = 0; i < whole; i++) say(RELAY_FRAME.more, seal(part));
    const last = () => said.at(-1) as Extract<FromRelayingPeer, { type: 'relay-taken' }>;
    assert.deepEqual(last(), { type: 'relay-taken', from: ALICE, number, opened: true });
    say(RELAY_FRAME.more, seal(part));
    assert.deepEqual(last(), { type: 'relay-taken', from: ALICE, number, opened: false });
    say(RELAY_FRAME.last, seal(new Uint8Array(1)));
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(heard, []);
    assert.equal(last().opened, false);
  });
});

test('whatever is lost on the way: what a device was told was taken came, whole, in order and once', async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('send' as const), bytes: fc.integer({ min: 0, max: 130_000 }) }),
    },
    fc.record({ do: fc.constant('lose' as const), bytes: fc.constant(0) }),
    fc.record({ do: fc.constant('away' as const), bytes: fc.constant(0) }),
    fc.record({ do: fc.constant('wait' as const), bytes: fc.constant(0) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const { alice, bob, lose } = world();
      const heard: number[] = [];
      bob.listen(async (_, bytes) => void heard.push(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)));
      const ends: Promise<number | null>[] = [];
      for (const [i, { do: what, bytes }] of steps.entries()) {
        if (what === 'lose') lose(BOB, 'busy');
        if (what === 'away') for (const channel of [alice, bob]) channel.away();
        if (what === 'wait') await new Promise((resolve) => setTimeout(resolve, 3));
        if (what !== 'send') continue;
        const sent = new Uint8Array(4 + bytes);
        new DataView(sent.buffer).setUint32(0, i);
        ends.push(alice.send(BOB, sent).then(() => i, () => null)); // biome-ignore format: one line
      }
      const taken = (await Promise.all(ends)).filter((i) => i !== null);
      assert.ok(
        taken.every((i) => heard.includes(i)),
        `${taken} were taken, ${heard} came`,
      );
      assert.equal(new Set(heard).size, heard.length, `${heard} came`);
      assert.deepEqual(
        [...heard].sort((a, b) => a - b),
        heard,
      );
    }),
    { numRuns: 25 },
  );
});

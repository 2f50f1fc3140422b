// Compliance tests for every Bus. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../../protocol/hash.ts';
import { HubError } from '../../errors.ts';
import { type Bus, MAX_BUS_BYTES } from '../bus.ts';

export interface BusUnderTest {
  /** The bus as one more process sees it. @param onError gets what goes wrong in a listener */
  open(onError?: (error: unknown) => void): Promise<Bus>;
  /** Lets a promise settle, on whatever clock this runs. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Lets what is under way happen. */
  pass(): Promise<unknown>;
  /** The engine dies. */
  kill(): Promise<void>;
  /** And comes back, where it was. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

const words = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const noAnswer = (unheard: boolean) => (error: unknown) =>
  error instanceof HubError && error.is('no-answer') && error.details.unheard === unheard;
const tooLarge = { code: 'too-large' };
/** Longer than any of these tests needs. */
const LONG_MS = 20_000;

type Use = (bus: BusUnderTest, until: (fits: () => boolean) => Promise<void>) => Promise<void>;
/** Declares a test that uses an engine. */
type WithBus = (name: string, use: Use) => void;

/** @param open starts an engine; the test closes it */
export function busCompliance(kind: string, open: () => Promise<BusUnderTest>, skip: string | false = false): void {
  const withBus: WithBus = (name, use) =>
    void test(`${kind}: ${name}`, { timeout: LONG_MS, skip }, async (t) => {
      const bus = await open();
      try {
        await use(bus, async (fits) => {
          for (; !fits(); await bus.pass()) t.signal.throwIfAborted();
        });
      } finally {
        await bus.close();
      }
    });
  messages(withBus);
  sizesAndEnds(withBus);
  questions(withBus);
  outages(withBus);
}

function messages(withBus: WithBus): void {
  withBus('what is published comes to all who listen, once, in order, as it was', async ({ open, settle }, until) => {
    const [from, one, other] = await settle(Promise.all([open(), open(), open()]));
    const heard: string[][] = [[], [], []];
    one.subscribe('log.a.batch', (bytes) => heard[0].push(words(bytes)));
    one.subscribe('log.a.batch', (bytes) => heard[1].push(words(bytes)));
    other.subscribe('log.*', () => assert.fail('a * stands for one part'));
    other.subscribe('log.a.*', (bytes, subject) => heard[2].push(`${subject} ${words(bytes)}`));
    await settle(Promise.all([one.flushed(), other.flushed()]));
    const said = Array.from({ length: 500 }, (_, i) => String(i));
    for (const word of said) from.publish('log.a.batch', utf8(word));
    from.publish('log.b.batch', utf8('another'));
    await until(() => heard.every(({ length }) => length >= said.length));
    from.publish('log.a.batch', utf8('last'));
    await until(() => heard.every(({ length }) => length >= said.length + 1));
    const all = [...said, 'last'];
    assert.deepEqual(heard, [all, all, all.map((word) => `log.a.batch ${word}`)]);
  });

  withBus('who does not listen any more hears nothing; who listens hears itself', async ({ open, settle }, until) => {
    const bus = await settle(open());
    const heard: string[] = [];
    const first = bus.subscribe('a', (bytes) => heard.push(`first ${words(bytes)}`));
    bus.subscribe('a', (bytes) => heard.push(`second ${words(bytes)}`));
    await settle(bus.flushed());
    bus.publish('a', utf8('1'));
    await until(() => heard.length === 2);
    first.close();
    bus.publish('a', utf8('2'));
    await until(() => heard.length === 3);
    assert.deepEqual(heard.slice(2), ['second 2']);
  });
}

function questions(withBus: WithBus): void {
  withBus('a question is answered by one of each group, and all of a group have their share', async (bus, until) => {
    const { open, settle } = bus;
    const [asker, ...servers] = await settle(Promise.all([open(), open(), open()]));
    const asked = servers.map(() => 0);
    servers.forEach((server, i) => {
      server.serve('double', 'doublers', async (bytes) => {
        asked[i]++;
        return utf8(words(bytes).repeat(2));
      });
    });
    await settle(Promise.all(servers.map((server) => server.flushed())));
    const questions = Array.from({ length: 100 }, (_, i) => String(i));
    const answers = await settle(Promise.all(questions.map((word) => asker.request('double', utf8(word), LONG_MS))));
    assert.deepEqual(
      answers.map(words),
      questions.map((word) => word.repeat(2)),
    );
    await until(() => asked[0] + asked[1] >= questions.length);
    assert.equal(asked[0] + asked[1], questions.length, 'each once');
    assert.ok(Math.min(...asked) > 10, String(asked));
  });

  withBus('a question that nobody serves is told so at once', async ({ open, settle }) => {
    const [asker, server] = await settle(Promise.all([open(), open()]));
    server.subscribe('listened-to', () => {}).close();
    const served = server.serve('served', 'g', async (bytes) => bytes);
    await settle(server.flushed());
    await settle(asker.request('served', utf8('x'), LONG_MS));
    served.close();
    await settle(server.flushed());
    const started = performance.now();
    for (const subject of ['never', 'listened-to', 'served']) {
      await assert.rejects(settle(asker.request(subject, utf8('x'), LONG_MS * 10)), noAnswer(true));
    }
    assert.ok(performance.now() - started < LONG_MS / 2);
  });

  withBus('no answer comes where it rejects, is too large, or takes too long', async ({ open, settle }) => {
    const errors: unknown[] = [];
    const [asker, server] = await settle(Promise.all([open(), open((error) => errors.push(error))]));
    server.serve('rejects', 'g', async () => {
      throw new Error('planted');
    });
    server.serve('large', 'g', async () => new Uint8Array(MAX_BUS_BYTES + 1));
    server.serve('never', 'g', () => new Promise(() => {}));
    await settle(server.flushed());
    for (const subject of ['rejects', 'large', 'never']) {
      await assert.rejects(settle(asker.request(subject, utf8('x'), 150)), noAnswer(false), subject);
    }
    assert.deepEqual(
      errors.map((error) => (error as Error).message.slice(0, 7)),
      ['planted', 'large: '],
    );
  });
}

function sizesAndEnds(withBus: WithBus): void {
  withBus('a message may be as large as it says, and no larger', async ({ open, settle }, until) => {
    const [from, to] = await settle(Promise.all([open(), open()]));
    const sizes: number[] = [];
    to.subscribe('a', ({ length }) => sizes.push(length));
    to.serve('b', 'g', async (bytes) => bytes);
    await settle(to.flushed());
    from.publish('a', new Uint8Array(MAX_BUS_BYTES));
    assert.equal((await settle(from.request('b', new Uint8Array(MAX_BUS_BYTES), LONG_MS))).length, MAX_BUS_BYTES);
    const larger = new Uint8Array(MAX_BUS_BYTES + 1);
    assert.throws(() => from.publish('a', larger), tooLarge);
    await assert.rejects(settle(from.request('b', larger, LONG_MS)), tooLarge);
    from.publish('a', new Uint8Array());
    await until(() => sizes.length === 2);
    assert.deepEqual(sizes, [MAX_BUS_BYTES, 0]);
  });

  withBus('a listener that throws is reported, and the bus goes on', async ({ open, settle }, until) => {
    const errors: unknown[] = [];
    const bus = await settle(open((error) => errors.push(error)));
    let heard = 0;
    bus.subscribe('a', () => {
      heard++;
      throw new Error('planted');
    });
    await settle(bus.flushed());
    bus.publish('a', utf8('1'));
    bus.publish('a', utf8('2'));
    await until(() => heard === 2 && errors.length === 2);
    assert.match(String(errors[0]), /planted/);
  });

  withBus('what was published before the end is sent', async ({ open, settle }, until) => {
    const [from, to] = await settle(Promise.all([open(), open()]));
    let heard = 0;
    to.subscribe('a', () => heard++);
    await settle(to.flushed());
    for (let i = 0; i < 50; i++) from.publish('a', new Uint8Array(1000));
    await settle(from.close());
    await until(() => heard === 50);
    assert.equal(from.connected, false);
    from.publish('a', new Uint8Array(1));
    from.subscribe('a', () => assert.fail('it has ended')).close();
    await assert.rejects(settle(from.request('a', new Uint8Array(1), LONG_MS)), noAnswer(true));
  });
}

function outages(withBus: WithBus): void {
  withBus('subscriptions outlive the engine, which is told when it is away', async (bus, until) => {
    const { open, settle } = bus;
    const [from, to] = await settle(Promise.all([open(), open()]));
    const heard: string[] = [];
    const told: boolean[] = [];
    to.subscribe('a', (bytes) => heard.push(words(bytes)));
    to.serve('b', 'g', async (bytes) => bytes);
    to.onConnected((connected) => told.push(connected));
    await settle(to.flushed());
    assert.deepEqual([from.connected, to.connected], [true, true]);
    await bus.kill();
    await until(() => !from.connected && !to.connected);
    from.publish('a', utf8('while it is away'));
    await assert.rejects(settle(from.request('b', utf8('x'), LONG_MS)), noAnswer(true));
    await assert.rejects(settle(from.flushed()), noAnswer(true));
    to.subscribe('c', (bytes) => heard.push(`c ${words(bytes)}`));
    await bus.restart();
    await until(() => from.connected && to.connected);
    await settle(to.flushed());
    from.publish('a', utf8('back'));
    from.publish('c', utf8('new'));
    await until(() => heard.length >= 2);
    assert.equal(words(await settle(from.request('b', utf8('x'), LONG_MS))), 'x');
    assert.deepEqual(heard, ['back', 'c new'], 'once each');
    assert.deepEqual(told, [false, true]);
    assert.equal(from.queued_bytes < MAX_BUS_BYTES, true);
  });

  withBus('a question under way when the engine dies gets no answer', async (bus) => {
    const [asker, server] = await bus.settle(Promise.all([bus.open(), bus.open()]));
    let asked = (): void => {};
    const heard = new Promise<void>((resolve) => {
      asked = resolve;
    });
    server.serve('slow', 'g', async (bytes) => {
      asked();
      await new Promise(() => {});
      return bytes;
    });
    await bus.settle(server.flushed());
    const answer = asker.request('slow', utf8('x'), 1000);
    answer.catch(() => {});
    await bus.settle(heard);
    await bus.kill();
    await assert.rejects(bus.settle(answer), { code: 'no-answer' });
  });
}

// Compliance tests for every Channel, whatever carries it. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Channel } from '../channel.ts';

/** A channel with a listener that records its calls. */
interface Recorded {
  readonly channel: Channel;
  readonly heard: string[];
  readonly frames: Uint8Array[];
}

export interface LineUnderTest {
  /** Opens a channel to a listening end; `onAccepted` gets that other end once, and must listen to it at once. */
  dial(onAccepted: (channel: Channel) => void): Channel;
  /** Opens a channel to an address where nobody listens. */
  dialNobody(): Channel;
  /** From now on the accepting end reads nothing. */
  deafen(): void;
  /** Lets calls under way happen. */
  pass(): Promise<unknown>;
  close(): Promise<void>;
}

const SIZES_BYTES = [0, 1, 125, 126, 5_000, 60_000];

function record(channel: Channel): Recorded {
  const recorded: Recorded = { channel, heard: [], frames: [] };
  const { heard } = recorded;
  channel.listen({
    onOpen: () => heard.push('open'),
    onMessage(frame) {
      heard.push('message');
      if (frame) recorded.frames.push(frame);
    },
    onAlive: () => heard.push('alive'),
    onError: () => heard.push('error'),
    onClose: (reason) => heard.push(`close ${reason}`.trim()),
  });
  return recorded;
}

/** @param open opens a line; the test closes it */
export function channelCompliance(kind: string, open: () => Promise<LineUnderTest>): void {
  const withLine = (
    name: string,
    use: (line: LineUnderTest, until: (fits: () => boolean) => Promise<void>) => Promise<void>,
  ) =>
    test(`${kind}: ${name}`, { timeout: 20_000 }, async (t) => {
      const line = await open();
      try {
        await use(line, async (fits) => {
          for (; !fits(); await line.pass()) t.signal.throwIfAborted();
        });
      } finally {
        await line.close();
      }
    });
  /** Two ends of an open channel. */
  const connect = async (line: LineUnderTest, until: (fits: () => boolean) => Promise<void>) => {
    let accepted: Recorded | undefined;
    const dialled = record(
      line.dial((channel) => {
        accepted = record(channel);
      }),
    );
    assert.deepEqual([dialled.channel.open, dialled.channel.closed], [false, false]);
    dialled.channel.send(Uint8Array.of(99)); // no effect: it is not open
    assert.equal(dialled.channel.queued_bytes, 0);
    await until(() => dialled.channel.open && accepted !== undefined && dialled.heard.length > 0);
    assert.equal(accepted!.channel.open, true);
    assert.deepEqual(dialled.heard, ['open']);
    return [dialled, accepted!] as const;
  };
  const closes = ({ heard }: Recorded): number => heard.filter((what) => what.startsWith('close')).length;

  withLine('frames of every size arrive whole, once and in their order, both ways', async (line, until) => {
    const [dialled, accepted] = await connect(line, until);
    const sent = SIZES_BYTES.map((size_bytes, i) => new Uint8Array(size_bytes).fill(i + 1));
    for (const frame of sent) {
      dialled.channel.send(frame);
      accepted.channel.send(frame);
    }
    await until(() => dialled.frames.length >= sent.length && accepted.frames.length >= sent.length);
    assert.deepEqual(dialled.frames, sent);
    assert.deepEqual(accepted.frames, sent);
    await until(() => dialled.channel.queued_bytes === 0 && accepted.channel.queued_bytes === 0);
  });

  withLine('who pings hears that somebody is there', async (line, until) => {
    const [, accepted] = await connect(line, until);
    accepted.channel.ping();
    await until(() => accepted.heard.includes('alive'));
  });

  for (const closer of [0, 1] as const) {
    withLine(
      `closed by ${closer === 0 ? 'who dialled' : 'who accepted'}: both ends hear it once, last, with the reason`,
      async (line, until) => {
        const ends = await connect(line, until);
        const [one, other] = [ends[closer], ends[1 - closer]];
        one.channel.send(Uint8Array.of(7));
        one.channel.close(1000, 'enough');
        await until(() => one.channel.closed && other.channel.closed);
        for (let i = 0; i < 5; i++) await line.pass();
        assert.deepEqual(other.frames, [Uint8Array.of(7)], 'what was sent before arrives before');
        assert.equal(other.heard.at(-1), 'close enough');
        for (const end of ends) {
          assert.deepEqual([closes(end), end.channel.open], [1, false]);
          end.channel.send(Uint8Array.of(8));
          end.channel.close();
          end.channel.terminate();
        }
        for (let i = 0; i < 5; i++) await line.pass();
        assert.deepEqual(ends.map(closes), [1, 1]);
        assert.deepEqual(other.frames, [Uint8Array.of(7)]);
      },
    );
  }

  withLine('cut off by one end: both hear of the end, once, and nothing after it', async (line, until) => {
    const ends = await connect(line, until);
    const [dialled, accepted] = ends;
    dialled.channel.terminate();
    await until(() => closes(dialled) > 0);
    accepted.channel.send(Uint8Array.of(5));
    await until(() => closes(accepted) > 0);
    for (let i = 0; i < 5; i++) await line.pass();
    assert.deepEqual(
      ends.map((end) => [closes(end), end.channel.closed, end.channel.open]),
      [
        [1, true, false],
        [1, true, false],
      ],
    );
    assert.deepEqual(dialled.frames, []);
  });

  withLine('cut off while nobody reads at the other end: it is gone at once', async (line, until) => {
    const [dialled] = await connect(line, until);
    line.deafen();
    dialled.channel.terminate();
    await until(() => closes(dialled) > 0);
    assert.equal(dialled.channel.closed, true);
  });

  withLine('closed by both at once: each hears it once', async (line, until) => {
    const ends = await connect(line, until);
    for (const { channel } of ends) channel.close(1000, 'enough');
    await until(() => ends.every(({ channel }) => channel.closed));
    for (let i = 0; i < 5; i++) await line.pass();
    assert.deepEqual(ends.map(closes), [1, 1]);
  });

  withLine('where nobody answers it closes, without ever having been open', async (line, until) => {
    const dialled = record(line.dialNobody());
    await until(() => closes(dialled) > 0);
    assert.deepEqual([dialled.channel.open, dialled.channel.closed], [false, true]);
    assert.equal(dialled.heard.includes('open'), false);
    assert.equal(dialled.heard.at(-1)!.startsWith('close'), true);
  });
}

// The bus of a hub on many machines, over a real NATS server: questions, messages, and frames between devices at two processes; µs of processor time.
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { NATS_SKIPPED, startNats } from '../hub/cluster/testing/nats-server.ts';
import { RELAY_LIMITS } from '../protocol/relay-messages.ts';
import { type Report, type Values, whole } from './bench.ts';
import { cpuNow, keyOf, openSide, type Side, SUBJECTS, type Usage } from './bus-side.ts';
import { nextMessage } from './child-messages.ts';
import { BenchError } from './errors.ts';
import { processorTimeOf } from './processor-time.ts';
import { table } from './report.ts';

export const options = {
  messages: whole('questions, messages and frames of each kind', { from: 100, to: 1e6, usual: 20_000, quick: 1000 }),
};

export const notes = `Starts a nats-server and two processes of a hub on this machine. "Here" asks, publishes and sends; "there" answers, listens and takes. The
processor time is that of each process for one message, the server's beside it; on a busy machine the rate says less than they do.`;

/** As an event and its answer. */
const ASKED_BYTES = 450;
const PUBLISHED_BYTES = 300;
const ASKED_AT_ONCE = 64;
/** A publisher waits when so much has not left: a hub drops beyond the bus's own bound. */
const AHEAD_BYTES = 1 << 20;
const LANES = 8;
const TIMEOUT_MS = 30_000;

interface Row {
  readonly what: string;
  readonly a_second: number;
  readonly here_us: number;
  readonly there_us: number;
  readonly server_us: number;
}

export async function run({ messages }: Values<typeof options>): Promise<Report> {
  if (NATS_SKIPPED) throw new BenchError('usage', NATS_SKIPPED);
  const rows = await measureBus(messages);
  const cells = rows.map(({ what, a_second, here_us, there_us, server_us }) => [
    what,
    ...[a_second, here_us, there_us, server_us].map((value) => value.toFixed(0)),
  ]);
  return { data: rows, text: table(['', 'a second', 'µs here', 'µs there', 'µs server'], cells) };
}

/** @param count messages of each kind */
export async function measureBus(count: number): Promise<Row[]> {
  const nats = await startNats();
  const [url] = nats.urls;
  const child = fork(join(import.meta.dirname, 'bus-side.ts'), [url]);
  try {
    await nextMessage(child, 'the other side');
    const side = await openSide(url, 'here');
    const serverUs = (): number => processorTimeOf(nats.pid(0)) * 1000;
    const measure = async (what: string, act: () => Promise<void>, times = count): Promise<Row> => {
      await act(); // warm
      const from = { ms: performance.now(), here: cpuNow(), there: await usage(child), server: serverUs() };
      await act();
      const wall_s = (performance.now() - from.ms) / 1000;
      const there = await usage(child);
      return {
        what,
        a_second: times / wall_s,
        here_us: (cpuNow() - from.here) / times,
        there_us: (there.cpu_us - from.there.cpu_us) / times,
        server_us: (serverUs() - from.server) / times,
      };
    };
    const frames = Math.max(100, Math.floor(count / 4));
    const rows = [
      await measure('question and answer', () => ask(side, count)),
      await measure('message', () => publish(side, child, count)),
      await measure('frame of 1,000 bytes', () => relay(side, frames, 1000), frames),
      await measure('frame of 60,000 bytes', () => relay(side, frames, RELAY_LIMITS.sealed_bytes), frames),
    ];
    side.relay.close();
    await side.bus.close();
    return rows;
  } finally {
    child.disconnect();
    await nats.close();
  }
}

async function usage(child: ChildProcess): Promise<Usage> {
  child.send('usage');
  return (await nextMessage(child, 'the other side')) as Usage;
}

async function ask({ bus }: Side, count: number): Promise<void> {
  const bytes = new Uint8Array(ASKED_BYTES);
  let left = count;
  const askOn = async (): Promise<void> => {
    while (left-- > 0) await bus.request(SUBJECTS.ask, bytes, TIMEOUT_MS);
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, askOn));
}

async function publish({ bus }: Side, child: ChildProcess, count: number): Promise<void> {
  const { heard } = await usage(child);
  const bytes = new Uint8Array(PUBLISHED_BYTES);
  for (let n = 0; n < count; n++) {
    bus.publish(SUBJECTS.publish, bytes);
    if (bus.queued_bytes > AHEAD_BYTES) await bus.flushed();
  }
  await bus.flushed();
  for (let now = await usage(child); now.heard < heard + count; now = await usage(child)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

let senders = 0;

/** Sends frames on several lanes, each as far ahead as its window allows. Rejects where one is lost. */
function relay({ relay: passing, connect }: Side, count: number, size_bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const sealed = new Uint8Array(size_bytes);
    let [left, taken] = [count, 0];
    const lane = (index: number): void => {
      const to = keyOf('there', index);
      let [last, done] = [0, 0];
      const device = connect(keyOf('here', senders++), (message) => {
        if (message.type === 'relay-lost') reject(new BenchError('engine-failed', `a frame is lost: ${message.code}`));
        if (message.type !== 'relay-taken') return;
        taken += message.number - done;
        done = message.number;
        if (taken === count) resolve();
        pump();
      });
      const pump = (): void => {
        while (left > 0 && last - done < RELAY_LIMITS.window_frames) {
          left--;
          passing.hear(device, { type: 'relay', to, number: ++last, sealed });
        }
      };
      pump();
    };
    for (let i = 0; i < LANES; i++) lane(i);
  });
}

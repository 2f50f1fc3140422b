// How smoothly the list of a run's devices scrolls with a thousand devices that report meanwhile.
import type { Browser } from 'playwright-core';
import { connectToHub, type HubConnection } from '../../peer/connection.ts';
import { fetchStatus } from '../../peer/find-run.ts';
import { webSockets } from '../../peer/web-sockets.ts';
import { signEvent } from '../../protocol/envelope.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { median } from '../../training/statistics.ts';
import { INNER_STEPS, type PageNetwork } from './network.ts';

export interface Smoothness {
  readonly peers: number;
  readonly frames: number;
  readonly seconds: number;
  readonly frames_per_second: number;
  readonly median_frame_ms: number;
  readonly longest_frame_ms: number;
  /** How far it was scrolled, in pixels. */
  readonly scrolled: number;
}

const CLASSES = ['native-cpu', 'wasm', 'webgpu', 'native-cuda'];
/** A device reports a few times a second while it trains. With a thousand devices this is as much as a hub on the same two cores can handle. */
const REPORTS_A_SECOND = 200;
const SCROLLING_MS = 6000;
/** One notch of a wheel. */
const NOTCH_PIXELS = 120;
/** A run may not wait for more. */
const MOST_MIN_WORKERS = 1000;
const PATIENCE_MS = 120_000;

/** Counts the frames of the page while a mouse wheel scrolls its list of devices. */
export async function measureScrolling(network: PageNetwork, browser: Browser, peers: number): Promise<Smoothness> {
  // The round opens with the last of them, and lasts longer than the measurement.
  const min_workers = Math.min(peers, MOST_MIN_WORKERS);
  const settings = { rounds: 2, round_seconds: 600, steps: INNER_STEPS, min_workers };
  const run = await network.createRun('a crowd', settings);
  const crowd = await joinMany(network.url, run, peers);
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  let reporting: NodeJS.Timeout | undefined;
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${network.url}/r/${run}`);
    const list = page.getByRole('region', { name: `${peers} devices` });
    await list.hover();
    let turn = 0;
    reporting = setInterval(() => {
      for (let i = 0; i < REPORTS_A_SECOND / 10; i++, turn++) {
        const progress = {
          state: 'working' as const,
          round: 0,
          amount: turn,
          amount_per_second: 3000,
          numbers: { steps: turn, loss_micro: 2500000 },
        };
        crowd[turn % peers].progress(progress);
      }
    }, 100);
    const frames = page.evaluate(
      (scrolling_ms) =>
        new Promise<number[]>((resolve) => {
          const times: number[] = [];
          const frame = (now_ms: number): void => {
            times.push(now_ms);
            if (now_ms - times[0] < scrolling_ms) requestAnimationFrame(frame);
            else resolve(times);
          };
          requestAnimationFrame(frame);
        }),
      SCROLLING_MS,
    );
    let done = false;
    const times = frames.finally(() => {
      done = true;
    });
    const position = () => list.evaluate((element) => element.scrollTop);
    let scrolled = 0;
    let last = await position();
    let direction = 1;
    while (!done) {
      await page.mouse.wheel(0, direction * NOTCH_PIXELS);
      const now = await position();
      scrolled += Math.abs(now - last);
      if (await list.evaluate((element) => element.scrollTop + element.clientHeight >= element.scrollHeight - 1))
        direction = -1;
      else if (now === 0) direction = 1;
      last = now;
    }
    return smoothnessOf(await times, peers, scrolled);
  } finally {
    clearInterval(reporting);
    for (const peer of crowd) peer.close();
    await context.close();
  }
}

function smoothnessOf(times: readonly number[], peers: number, scrolled: number): Smoothness {
  const gaps = times.slice(1).map((time, i) => time - times[i]);
  const seconds = (times.at(-1)! - times[0]) / 1000;
  return {
    peers,
    frames: gaps.length,
    seconds,
    frames_per_second: gaps.length / seconds,
    median_frame_ms: median(gaps),
    longest_frame_ms: Math.max(...gaps),
    scrolled,
  };
}

/** Peers with keys of their own that join a run over a WebSocket each, and do no work. Resolves when the log has them all. */
async function joinMany(url: string, run: string, count: number): Promise<HubConnection[]> {
  const { hub } = await fetchStatus(url);
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const identity = createIdentity();
      let connection: HubConnection;
      await new Promise<void>((resolve, reject) => {
        connection = connectToHub({
          transport: webSockets(url),
          hub,
          run,
          role: 'worker',
          identity,
          onWelcome: async ({ session }) => {
            const name = `device ${i}`;
            const runtime = CLASSES[i % CLASSES.length];
            const body = {
              type: 'peer.joined' as const,
              version: 1 as const,
              run,
              session,
              role: 'worker' as const,
              name,
              runtime,
            };
            await connection.submit(await signEvent(identity, body)).then(() => resolve(), reject);
          },
          onRun: () => {},
          onAway: () => {},
          onFatal: reject,
        });
      });
      return connection!;
    }),
  );
}

// The traffic of an open ledger: while nothing happens, while a run is at work, and while the ledger follows the log.
import type { Browser, CDPSession } from 'playwright-core';
import type { PageNetwork } from './network.ts';

export interface OpenLedger {
  /** Of the log, by HTTP, headers and all. */
  readonly log_bytes_per_hour: number;
  /** Of the page's one WebSocket, whatever view is open. */
  readonly socket_bytes_per_hour: number;
  readonly events_per_hour: number;
}

export interface LedgerCost {
  readonly quiet: OpenLedger;
  readonly busy: OpenLedger;
  readonly followed: OpenLedger;
}

const WATCHED_MS = 40_000;
const HOUR_MS = 3_600_000;
const PATIENCE_MS = 120_000;

/** Leaves a ledger open without a run at work, then two beside one. */
export async function measureLedger(network: PageNetwork, browser: Browser): Promise<LedgerCost> {
  const quiet = await watch(network, browser, false);
  const settings = { rounds: 1000, round_seconds: 10, steps: 3, min_workers: 2 };
  const run = await network.createRun('busy', settings);
  const peers = [
    network.join(run, 'validator', '--role', 'validator'),
    network.join(run, 'ada'),
    network.join(run, 'bob'),
  ];
  try {
    await network.until(run, ({ round }) => round >= 2);
    const [busy, followed] = await Promise.all([watch(network, browser, false), watch(network, browser, true)]);
    return { quiet, busy, followed };
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()));
  }
}

async function watch(network: PageNetwork, browser: Browser, follow: boolean): Promise<OpenLedger> {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${network.url}/ledger`);
    await page.getByRole('heading', { name: 'Events', exact: true }).waitFor();
    if (follow) await page.getByRole('button', { name: 'Follow' }).click();
    await page.waitForLoadState('networkidle');
    const traffic = count(await context.newCDPSession(page));
    const [before, from_ms] = [await sizeOf(network.url), performance.now()];
    await page.waitForTimeout(WATCHED_MS);
    const hourly = (amount: number): number => (amount * HOUR_MS) / (performance.now() - from_ms);
    const { log_bytes, socket_bytes } = traffic();
    return {
      log_bytes_per_hour: hourly(log_bytes),
      socket_bytes_per_hour: hourly(socket_bytes),
      events_per_hour: hourly((await sizeOf(network.url)) - before),
    };
  } finally {
    await context.close();
  }
}

/** Counts what comes from now on. */
function count(session: CDPSession): () => { log_bytes: number; socket_bytes: number } {
  const ofLog = new Set<string>();
  let [log_bytes, socket_bytes] = [0, 0];
  session.on('Network.requestWillBeSent', ({ requestId, request }) => {
    if (new URL(request.url).pathname.startsWith('/log/')) ofLog.add(requestId);
  });
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (ofLog.has(requestId)) log_bytes += encodedDataLength;
  });
  session.on('Network.webSocketFrameReceived', ({ response }) => {
    socket_bytes += Buffer.byteLength(response.payloadData, response.opcode === 1 ? 'utf8' : 'base64');
  });
  void session.send('Network.enable');
  return () => ({ log_bytes, socket_bytes });
}

/** The second line of a checkpoint is the size of the log. */
async function sizeOf(url: string): Promise<number> {
  return Number((await (await fetch(`${url}/log/checkpoint`)).text()).split('\n')[1]);
}

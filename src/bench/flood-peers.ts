// Parts of the floods of messages: a run that waits, keys that join it over HTTP, observers that stay connected.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import type { EventBody } from '../core/events.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { createRun } from '../owner/owner.ts';
import { trainingFor } from '../owner/run-settings.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { signEvent } from '../protocol/envelope.ts';
import { decodeFromHub } from '../protocol/from-hub.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { helloChallenge, PROTOCOL_VERSION, type RunView } from '../protocol/messages.ts';
import { from, over, pause, type Target } from './flood.ts';

const MANY_WORKERS = 1000;
/** The address of strangers, for a hub behind a proxy. */
const STRANGER = '203.0.113.1';

/** Creates a run that waits for more workers than will ever join. */
export async function waitingRun(target: Target, owner: Identity): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-floods-'));
  const essentials = { rounds: 9, round_seconds: 60, steps: 2, batch: 2, context: 8, learning_rate: 0.01 };
  try {
    return await createRun(target.url, owner, folder, {
      ...{ name: 'flooded', texts: ['All work and no play makes Jack a dull boy. '.repeat(40)], seed: 'flood' },
      tokenizer: byteTokenizer(),
      model: {
        ...{ hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2 },
        max_position_embeddings: 16,
      },
      ...trainingFor({ ...essentials, min_workers: MANY_WORKERS }),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Sends an event over HTTP; resolves with whether the hub accepted it. */
export async function taken(target: Target, author: Identity, body: EventBody, address = STRANGER): Promise<boolean> {
  const event = (await signEvent(author, body)) as Uint8Array<ArrayBuffer>;
  const headers = from(target, address);
  const response = await fetch(`${target.url}/events`, { method: 'POST', body: event, headers });
  await response.arrayBuffer();
  return response.status === 201;
}

export const joined = (run: string): EventBody => ({
  ...{ type: 'peer.joined', version: 1, run, session: 0, role: 'worker', name: 'x', runtime: 'flood' },
});
export const left = (run: string, peer: string): EventBody => ({
  ...{ type: 'peer.left', version: 1, run, peer, session: 0, reason: 'goodbye' },
});

/** Creates a waiting run with so many peers, which stay connected as long as this thread lives. */
export async function runWith(target: Target, peers: number): Promise<string> {
  const run = await waitingRun(target, createIdentity());
  const enough = new AbortController();
  let asked = 0;
  if (peers === 0) return run;
  await over(enough.signal, 50, async () => {
    if (++asked >= peers) enough.abort();
    const key = createIdentity();
    await connected(target, run, key);
    await taken(target, key, joined(run));
  });
  return run;
}

/** Connects as a worker and stays idle. `onRun` gets the hub's messages about the run. */
export function connected(
  target: Target,
  run: string,
  key: Identity,
  onRun: (view: RunView) => void = () => {},
): Promise<WebSocket> {
  const socket = new WebSocket(`${target.url.replace('http', 'ws')}/ws`, { perMessageDeflate: false });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', async (data: Buffer) => {
      const message = decodeFromHub(new Uint8Array(data));
      if (message.type === 'welcome') resolve(socket);
      if (message.type === 'run') onRun(message.view);
      if (message.type !== 'challenge') return;
      const signature = await key.sign(helloChallenge(message.hub, message.nonce));
      const hello = {
        type: 'hello',
        protocol: PROTOCOL_VERSION,
        role: 'worker',
        run,
        peer: key.id,
        signature,
      } as const;
      socket.send(encodeMessage(hello));
    });
  });
}

/** Keeps so many observers connected, replaces closed ones, and calls `act` for each every `every_ms`. */
export async function observers(
  { target, signal, count }: { readonly target: Target; readonly signal: AbortSignal; readonly count: number },
  hello: boolean,
  act: (socket: WebSocket) => void,
  every_ms: number,
): Promise<{ opened: number; 'closed by the hub': number }> {
  const open = new Set<WebSocket>();
  let [opened, closed] = [0, 0];
  const connect = (): void => {
    const socket = new WebSocket(`${target.url.replace('http', 'ws')}/ws`, { perMessageDeflate: false });
    open.add(socket);
    opened++;
    const say = encodeMessage({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer', changes: true });
    socket.on('open', () => hello && socket.send(say));
    socket.on('error', () => {});
    socket.on('close', () => {
      open.delete(socket);
      if (!signal.aborted) closed++;
    });
  };
  while (!signal.aborted) {
    for (let missing = Math.min(50, count - open.size); missing > 0; missing--) connect();
    for (const socket of open) if (socket.readyState === WebSocket.OPEN) act(socket);
    await pause(signal, every_ms);
  }
  for (const socket of open) socket.terminate();
  return { opened, 'closed by the hub': closed };
}

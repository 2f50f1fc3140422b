// A hub that merges a large model: the response times of /health meanwhile, and the hub's memory use.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { EventBody } from '../core/events.ts';
import { exampleRules } from '../core/testing/example-events.ts';
import { wordsOfGame } from '../games/parts.ts';
import { parameterCount } from '../games/pretrain/params.ts';
import { game } from '../games/pretrain.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import { modelTensors } from '../model/checkpoint.ts';
import { parameterSpecs } from '../model/config.ts';
import { writeParts } from '../model/parts.ts';
import { encodeModelManifest } from '../model/tensor-manifest.ts';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { RunViewSchema } from '../protocol/messages.ts';
import { decimal, type Report, type Values, whole } from './bench.ts';
import type { HubFigures } from './big-merge-hub.ts';
import { BenchError } from './errors.ts';
import { madeUp, madeUpWork, paramsFor } from './made-up-work.ts';
import { table, valueAt } from './report.ts';

export const options = {
  parameters: decimal('of the model, in millions', { from: 0.01, to: 10_000, usual: 250 }),
  workers: whole('workers that hand in', { from: 1, to: 1000, usual: 4 }),
  rounds: whole('rounds of the run', { from: 1, to: 1000, usual: 1 }),
};

export const notes = `A hub in a process of its own receives a model and made-up work of every worker, and merges. Another process asks for /health fifty
times a second, each time after the answer before, from the first piece of work to the merge. Memory is the most that the hub's
process held. The delay of its event loop and its processor time are those of its whole life.`;

const ASK_EVERY_MS = 20;
const POLL_MS = 200;
const LAYERS = 17;

interface Measured {
  readonly parameters: number;
  readonly workers: number;
  /** Seconds a round until every worker has its receipt, and from there to the end of the merge. */
  readonly taken_in_s: number;
  readonly merged_s: number;
  readonly health_ms: { readonly median: number; readonly p99: number; readonly most: number; readonly asked: number };
  readonly most_memory_bytes: number;
  readonly loop_delay_ms: HubFigures['loop_delay_ms'];
  readonly loop_cpu_s: number;
  readonly cpu_s: number;
}

export async function run({ parameters, workers, rounds }: Values<typeof options>): Promise<Report> {
  const measured = await measure(parameters * 1e6, workers, rounds);
  const { median, p99, most, asked } = measured.health_ms;
  const text = table(
    [`a hub merges ${(measured.parameters / 1e6).toFixed(1)} million parameters of ${workers} workers`, ''],
    [
      [`/health, of ${asked} answers: median`, `${median.toFixed(1)} ms`],
      ['99 of 100 within', `${p99.toFixed(1)} ms`],
      ['slowest', `${most.toFixed(1)} ms`],
      ['work received, a round', `${measured.taken_in_s.toFixed(1)} s`],
      ['judged by nobody (1 s) and merged, a round', `${measured.merged_s.toFixed(1)} s`],
      ['delay of the event loop, 99 of 100 within', `${measured.loop_delay_ms.p99.toFixed(1)} ms`],
      ['longest', `${measured.loop_delay_ms.most.toFixed(1)} ms`],
      ['processor time of its event loop', `${measured.loop_cpu_s.toFixed(1)} s of ${measured.cpu_s.toFixed(1)} s`],
      ['most memory', `${(measured.most_memory_bytes / 1e9).toFixed(2)} GB`],
    ],
  );
  return { data: measured, text };
}

async function measure(parameters: number, workers: number, rounds: number): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'potluck-big-merge-'));
  const params = paramsFor(parameters, LAYERS);
  const specs = parameterSpecs(params.model);
  let hub: ChildProcess | null = null;
  try {
    const blobs = await openFolderBlobStore(join(folder, 'blobs'));
    const tensors = modelTensors(params.model, 'f32');
    const model = await blobs.put(encodeModelManifest(await writeParts(tensors, madeUp(tensors), blobs.put)));
    const works: Uint8Array[] = [];
    for (let worker = 0; worker < workers; worker++) works.push(madeUpWork(params, worker));
    const named = { model, params: await blobs.put(new TextEncoder().encode(JSON.stringify(params))) };
    const sent = await Promise.all(works.map((work) => blobs.put(work)));
    hub = spawn(process.execPath, [join(import.meta.dirname, 'big-merge-hub.ts'), folder], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: hub.stdout! })[Symbol.asyncIterator]();
    const { url } = JSON.parse((await lines.next()).value as string) as { url: string };
    const peers = works.map(() => createIdentity());
    const id = await begin(url, named, peers, rounds);
    const waits: number[] = [];
    let [taken_in_ms, merged_ms] = [0, 0];
    for (let round = 0; round < rounds; round++) {
      const open = await untilView(url, id, (view) => view.round === round && view.phase === 'working');
      const asking = new AbortController();
      const asked = askHealth(url, waits, asking.signal);
      const started = performance.now();
      const body = {
        type: 'work.submitted',
        version: 2,
        run: id,
        round,
        attempt: open.attempt,
        base: open.model,
      } as const;
      const claim = { amount: 1, numbers: { steps: 1, loss_micro: 1 }, pledge: '0'.repeat(64) };
      const handIn = (peer: Identity, i: number) =>
        send(url, peer, { ...body, ...claim, work: sent[i], size_bytes: works[i].length });
      await Promise.all(peers.map(handIn));
      const taken = performance.now();
      await untilView(url, id, (view) => view.round === round + 1);
      taken_in_ms += taken - started;
      merged_ms += performance.now() - taken;
      asking.abort();
      await asked;
    }
    hub.stdin!.write('end\n');
    const { most_kb, loop_delay_ms, loop_cpu_ms, cpu_ms } = JSON.parse(
      (await lines.next()).value as string,
    ) as HubFigures;
    await once(hub, 'exit');
    hub = null;
    return {
      ...{ parameters: parameterCount(specs), workers },
      ...{ taken_in_s: taken_in_ms / 1000 / rounds, merged_s: merged_ms / 1000 / rounds },
      health_ms: {
        median: valueAt(waits, 0.5),
        p99: valueAt(waits, 0.99),
        most: valueAt(waits, 1),
        asked: waits.length,
      },
      ...{ most_memory_bytes: most_kb * 1024, loop_delay_ms, loop_cpu_s: loop_cpu_ms / 1000, cpu_s: cpu_ms / 1000 },
    };
  } finally {
    hub?.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

/** Creates a run that all workers have joined. Resolves with its id. */
async function begin(
  url: string,
  named: { readonly model: string; readonly params: string },
  peers: readonly Identity[],
  rounds: number,
): Promise<string> {
  const id = await send(url, createIdentity(), {
    ...{
      type: 'run.created',
      version: 3,
      ...wordsOfGame(game),
      name: 'big-merge',
      game: game.name,
      ...named,
      created_ms: 0,
    },
    // Checkpoints cost more writes than other states. The last model would be a checkpoint, so the run has one round more.
    ...{ rounds: rounds + 1, checkpoint_every: 1000, round_ms: 3_600_000, judging_ms: 1000, min_workers: peers.length },
    rules: exampleRules({
      ...{ shares_per_round: 1000, halving_rounds: 0 },
      ...{ owner_permille: 0, workers_permille: 500, validators_permille: 500 },
    }),
  });
  const joined = {
    type: 'peer.joined',
    version: 1,
    run: id,
    session: 0,
    role: 'worker',
    runtime: 'native-cpu',
  } as const;
  for (const [i, peer] of peers.entries()) await send(url, peer, { ...joined, name: `worker ${i}` });
  return id;
}

async function send(url: string, author: Identity, body: EventBody): Promise<string> {
  const event = (await signEvent(author, body)) as Uint8Array<ArrayBuffer>;
  const ask = () => fetch(`${url}/events`, { method: 'POST', body: event });
  // A busy hub may reset old connections. The log contains the event once, however often it is sent.
  const again = (): Promise<Response> => ask().catch(again);
  const answer = await again();
  const said = (await answer.json()) as { event?: string };
  if (said.event) return said.event;
  throw new BenchError('engine-failed', `${body.type}: the hub answered ${answer.status} ${JSON.stringify(said)}`);
}

async function untilView(url: string, run: string, holds: (view: ReturnType<typeof RunViewSchema.parse>) => boolean) {
  for (;;) {
    // As above: a busy hub may reset this connection.
    const answer = await fetch(`${url}/runs/${run}`).catch(() => null);
    const view = answer && RunViewSchema.parse(await answer.json());
    if (view && holds(view)) return view;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Asks until it is stopped, each time after the previous answer; records the duration of each answer. */
async function askHealth(url: string, waits: number[], stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const asked = performance.now();
    // As above: after a reset it asks again, and the whole time counts.
    while (!(await healthAnswers(url)) && !stop.aborted);
    const waited = performance.now() - asked;
    waits.push(waited);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, ASK_EVERY_MS - waited)));
  }
}

/** Whether there was an answer, over a connection of its own. */
function healthAnswers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request(`${url}/health`, { agent: false }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(true));
      answer.on('error', () => resolve(false));
    });
    sent.on('error', () => resolve(false));
    sent.end();
  });
}

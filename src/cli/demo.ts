// `potluck demo`, which is `npm start`: a hub, a validator and three workers on this machine train one small model, and one can watch.
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { generate } from '../model/generate.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { exportRun } from '../owner/export-model.ts';
import { createRun } from '../owner/owner.ts';
import { trainingFor } from '../owner/run-settings.ts';
import { type TakenModel, weightsOf } from '../owner/taken-model.ts';
import { fetchStatus } from '../peer/find-run.ts';
import { observeHub } from '../peer/hub-observer.ts';
import { fired } from '../protocol/clock.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { createNativeRuntime, isNativeHere } from '../tensor/native-runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { emptyReport, readTexts } from '../training/corpus.ts';
import { defaultCorpus } from '../training/corpus-default.ts';
import { type Child, startChild } from './children.ts';
import { type LossPoint, paceOf, renderRun } from './dashboard.ts';
import { auditMirror, startClusterDemo } from './demo-cluster.ts';
import { tryLock } from './folders.ts';
import { untilStopped } from './lifetime.ts';
import { liveBlock } from './live-block.ts';
import { integer, jsonOption } from './options.ts';
import { CliError, formatBytes, formatCount, type Output, openOutput, printable } from './output.ts';
import { linesOfTexts } from './run-summary.ts';
import { wrap } from './text-columns.ts';
import { dataOption, mustExist } from './text-data.ts';
import { problemText } from './told-problems.ts';

interface DemoFlags {
  data: string[];
  rounds: number;
  workers: number;
  steps: number;
  stages?: number;
  cluster?: boolean;
  folder?: string;
  json: boolean;
}

/** The demo's model and rounds: small enough for two cores, large enough to learn words in four minutes. */
const DEMO = {
  steps: 30,
  round_seconds: 15,
  batch: 12,
  context: 64,
  learning_rate: 2e-3,
  model: {
    hidden_size: 128,
    intermediate_size: 352,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    max_position_embeddings: 256,
  },
} as const;
/** In stages a step takes as many sequences, in two parts: while one is at the next stage, this one has the other. */
const IN_STAGES = { batch: DEMO.batch / 2, micro_batches: 2 } as const;

const LAST_EVALUATION_MS = 20_000; // what the validator gets to measure the finished model
const HUB_RESTART_MS = 300;
/** A sample that is shorter is drawn again. */
const SAMPLE_CHARACTERS = 100;
const SAMPLE_ATTEMPTS = 5;
const SAMPLE = { max_tokens: 220, temperature: 0.7, top_p: 0.95 };

export function demoCommand(): Command {
  return new Command('demo')
    .addOption(dataOption('text to learn from: a file or a folder (default: the documentation that npm installed)'))
    .option('--rounds <n>', 'rounds to train', integer(1, 10_000), 36)
    .option('--workers <n>', 'worker processes (with --stages: at least one for each)', integer(1, 64), 3)
    .option('--steps <n>', 'steps that a worker does at most in a round', integer(1, 1000), DEMO.steps)
    .option(
      '--stages <n>',
      'cut the model into so many stages: each worker holds one, and hands activations on to the next',
      integer(2, DEMO.model.num_hidden_layers + 2),
    )
    .option(
      '--cluster',
      'the hub as several processes: two sequencers, a merger and two front ends, on three NATS servers and an S3 of this machine',
    )
    .option('--folder <dir>', 'where everything is kept (default: potluck-data/demo, or demo-cluster)')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck demo
  $ potluck demo --data ./my-texts --rounds 100
  $ potluck demo --stages 3
  $ potluck demo --cluster

Ctrl-C stops everything and loses nothing: the next start goes on from there.`,
    )
    .action(async (given: DemoFlags) => {
      const flags = { ...given, workers: Math.max(given.workers, given.stages ?? 0) };
      const output = openOutput(flags.json);
      const stopped = untilStopped();
      mustExist(flags.data);
      const folder = resolve(flags.folder ?? join('potluck-data', flags.cluster ? 'demo-cluster' : 'demo'));
      const lock = tryLock(folder);
      if (!lock) throw new CliError('in-use', `another demo runs in ${folder}`);
      const children: Children = { hub: null, peers: [], mirror: null };
      const workers = Array.from({ length: flags.workers }, (_, i) => `worker ${i + 1}`);
      const screen = openScreen(output, [...workers, 'validator'], flags.steps);
      let finished = false;
      try {
        finished = await runDemo(flags, folder, screen, stopped, children);
      } catch (error) {
        if (!stopped.aborted) throw error; // what was under way failed because it was stopped
      } finally {
        screen.end();
        // Peers first, so that the hub still takes their last work.
        await Promise.all(children.peers.map((peer) => peer.stop()));
        await children.hub?.stop();
        lock.release();
      }
      if (!finished) output.say('Stopped. The next start goes on from here.', { type: 'stopped' });
    });
}

/** Resolves with whether the run came to its end: true, or false when it was stopped before. */
async function runDemo(
  flags: DemoFlags,
  folder: string,
  screen: Screen,
  stopped: AbortSignal,
  children: Children,
): Promise<boolean> {
  const urls = await startHubs(flags, folder, screen, children);
  const [url] = urls;
  for (const one of urls) screen.say(`Open ${one} in a browser to watch.`, { type: 'hub', url: one });
  const run = await openRun(url, flags, folder, screen, stopped);
  if (stopped.aborted) return false;
  for (const [i, name] of screen.expected.entries()) {
    children.peers.push(startPeer(urls[i % urls.length], run.run, name, folder, screen));
  }

  const losses = await watch(url, run.run, screen, stopped);
  if (stopped.aborted) return false;
  screen.end();
  screen.say('Taking the model home …', { type: 'exporting' });
  const target = join(folder, `model-${run.run.slice(0, 8)}`);
  const owner = await loadOrCreateIdentity(join(folder, 'owner.key'));
  const taken = await exportRun({ url, wanted: run.run, folder: join(folder, 'cache'), target, signer: owner });
  const sample = await writeSample(taken);
  const first = losses.at(0)?.loss ?? null;
  const last = losses.at(-1)?.loss ?? null;
  screen.say(
    [
      '',
      `validation loss  ${first?.toFixed(3) ?? '?'} → ${last?.toFixed(3) ?? '?'}`,
      `the model        ${target}`,
      '                 as transformers and others read it',
      '',
      'What it writes now:',
      ...wrap(sample, Math.min(process.stdout.columns || 80, 100) - 5).map((line) => `  | ${line}`),
    ].join('\n'),
    { type: 'finished', run: run.run, model: taken.model, first_loss: first, last_loss: last, folder: target, sample },
  );
  if (children.mirror !== null) {
    screen.say('Auditing what lies in the bucket …', { type: 'auditing' });
    const report = await auditMirror(children.mirror);
    screen.say(`\n${report}`, { type: 'mirror_audited', url: children.mirror, report });
  }
  return true;
}

/** What the demo has started. */
interface Children {
  hub: Pick<Child, 'stop'> | null;
  readonly peers: Child[];
  /** Where the log and the blobs lie as files; null for a hub of one process. */
  mirror: string | null;
}

/** Starts the hub, in one process or several, and resolves with its addresses. */
async function startHubs(flags: DemoFlags, folder: string, screen: Screen, children: Children): Promise<string[]> {
  if (!flags.cluster) {
    screen.say('Starting a hub …', { type: 'starting' });
    return [await startHub(folder, screen, children)];
  }
  const cluster = await startClusterDemo(folder, screen.say);
  children.hub = cluster;
  children.mirror = cluster.mirror;
  screen.say(
    `The log and the blobs lie in ${cluster.mirror}: npx potluck audit --mirror ${cluster.mirror} asks no process of the hub.`,
    { type: 'mirror', url: cluster.mirror },
  );
  return [...cluster.urls];
}

/** Starts the hub's process and resolves with its address. When it is killed it is started again on the same port. */
function startHub(folder: string, screen: Screen, children: Children): Promise<string> {
  return new Promise((resolve_, reject) => {
    const args = ['hub', '--folder', join(folder, 'hub'), '--port', '0'];
    let url = '';
    const hub = startChild({
      args,
      restart_ms: HUB_RESTART_MS,
      onLine: (line) => {
        if (line.type === 'problem') screen.say(`hub: ${problemText(line)}`, problemOf(line, 'hub'));
        if (line.type === 'page' && line.state === 'failed')
          screen.say(String(line.message), { type: 'page', state: 'failed', message: String(line.message) });
        if (line.type !== 'listening') return;
        url = String(line.url);
        args[args.indexOf('--port') + 1] = new URL(url).port;
        resolve_(url);
      },
      onDeath: (lastWords) => {
        if (url === '') reject(new CliError('child-failed', `the hub did not start: ${lastWords}`));
        else screen.say('The hub was killed; it starts again.', { type: 'died', name: 'hub', last_words: lastWords });
      },
    });
    children.hub = hub;
  });
}

/** What a child says went wrong, as the demo's own word. */
const problemOf = ({ code, message }: Record<string, unknown>, where: string) =>
  ({ type: 'problem', where, ...(code !== undefined && { code: String(code) }), message: String(message) }) as const;

function startPeer(url: string, run: string, name: string, folder: string, screen: Screen): Child {
  const role = name === 'validator' ? 'validator' : 'worker';
  const threads = role === 'worker' ? 1 : Math.min(2, availableParallelism());
  const peerFolder = join(folder, name.replace(' ', '-'));
  return startChild({
    args: [
      'join',
      url,
      '--run',
      run,
      '--role',
      role,
      '--name',
      name,
      '--folder',
      peerFolder,
      '--owner',
      join(folder, 'owner.key'),
      '--threads',
      String(threads),
    ],
    onLine: (line) => {
      if (line.type === 'problem') screen.say(`${name}: ${line.message}`, problemOf(line, name));
    },
    onDeath: (lastWords) => {
      const why = lastWords === '' ? 'was killed' : `ended (${lastWords})`;
      screen.say(`${name} ${why}; it starts again.`, { type: 'died', name, last_words: lastWords });
    },
  });
}

/** The demo's run that is not finished yet, or a new one. */
async function openRun(
  url: string,
  flags: DemoFlags,
  folder: string,
  screen: Screen,
  stopped: AbortSignal,
): Promise<RunStatus> {
  // Other text, another length, other workers or steps make another run: its name says which.
  const given = flags.data.length > 0;
  const source = given ? flags.data.map((path) => resolve(path)).join(', ') : 'the documentation that npm installed';
  const { rounds, workers: min_workers, steps, stages } = flags;
  // The usual steps stand in no name: runs of demos before there was a choice go on.
  const cut = stages === undefined ? [] : [{ stages }];
  const chosen = [source, rounds, min_workers, ...(steps === DEMO.steps ? [] : [steps]), ...cut];
  const settings = sha256Hex(utf8(JSON.stringify(chosen))).slice(0, 6);
  const name = `Potluck demo ${settings}`;
  const find = async () => (await fetchStatus(url)).runs.find((run) => run.name === name && run.phase !== 'finished');
  const known = await find();
  if (known) {
    screen.say(`Going on with round ${known.round} of ${known.rounds}.`, {
      type: 'continued',
      run: known.run,
      round: known.round,
    });
    return known;
  }
  screen.say(`Reading ${source} …`, { type: 'reading', source });
  const { round_seconds, batch, context, learning_rate, model } = DEMO;
  const identity = await loadOrCreateIdentity(join(folder, 'owner.key'));
  const report = emptyReport();
  const id = await createRun(url, identity, join(folder, 'cache'), {
    name,
    texts: whileWanted(given ? readTexts(flags.data, { report }) : defaultCorpus(), stopped),
    tokenizer: byteTokenizer(),
    model,
    seed: 'potluck demo',
    ...trainingFor({
      ...{ rounds, round_seconds, steps, batch, context, learning_rate, min_workers },
      ...(stages !== undefined && { ...IN_STAGES, stages }),
    }),
  });
  screen.say(given ? [...linesOfTexts(report)].join('\n') : '', { type: 'created', run: id });
  return (await find())!;
}

/** Texts until somebody stops it. */
async function* whileWanted(texts: AsyncIterable<string>, stopped: AbortSignal): AsyncGenerator<string> {
  for await (const text of texts) {
    if (stopped.aborted) throw new CliError('stopped', 'stopped while reading');
    yield text;
  }
}

/** Shows the run until it is finished and measured, or the person stops it. Resolves with the losses seen. */
async function watch(url: string, run: string, screen: Screen, stopped: AbortSignal): Promise<LossPoint[]> {
  const losses: LossPoint[] = [];
  await new Promise<void>((resolve_) => {
    let patience: NodeJS.Timeout | undefined;
    const observer = observeHub(url, (runs) => {
      const status = runs.find((candidate) => candidate.run === run);
      if (!status) return;
      noteLoss(losses, status);
      screen.show(status, losses);
      if (status.phase !== 'finished') return;
      patience ??= setTimeout(end, LAST_EVALUATION_MS);
      if (status.evaluated_rounds === status.round) end();
    });
    const end = (): void => {
      clearTimeout(patience);
      observer.close();
      resolve_();
    };
    void fired(stopped).then(end);
  });
  return losses;
}

/** Where a run is shown: a picture in a terminal, a line a round in a file or a pipe. */
interface Screen extends Pick<Output, 'say'> {
  /** The names of the peers that the demo starts. */
  readonly expected: readonly string[];
  show(status: RunStatus, losses: readonly LossPoint[]): void;
  end(): void;
}

function openScreen(output: Output, expected: readonly string[], steps: number): Screen {
  const { stdout } = process;
  // Without a size there is no terminal to draw in.
  const live = !output.json && stdout.isTTY && stdout.columns > 0 && process.env.TERM !== 'dumb';
  if (!live) return { ...output, expected, show: lineARound(output), end: () => {} };
  const block = liveBlock(stdout);
  const pace = paceOf();
  let redraw = (): void => {};
  const onResize = (): void => redraw();
  stdout.on('resize', onResize);
  process.once('exit', () => block.end()); // whatever happens, the cursor comes back
  return {
    expected,
    say: (text) => text !== '' && block.say(printable(text)),
    show(status, losses) {
      const { run, time_left_ms } = pace(status, performance.now());
      redraw = () => {
        const { columns, rows } = stdout;
        block.draw(renderRun({ run, losses, steps, expected, time_left_ms, columns, rows }));
      };
      redraw();
    },
    end() {
      stdout.off('resize', onResize);
      redraw = () => {};
      block.end();
    },
  };
}

function lineARound(output: Output): Screen['show'] {
  const pace = paceOf();
  let shown = -1;
  return (seen) => {
    const { run: status } = pace(seen, performance.now());
    if (status.evaluated_rounds === null || status.evaluated_rounds <= shown) return;
    shown = status.evaluated_rounds;
    output.say(plainLine(status), { type: 'round', ...status });
  };
}

function noteLoss(losses: LossPoint[], status: RunStatus): void {
  const { metrics, evaluated_rounds } = status;
  const [{ first, last }] = metrics;
  if (last === null || evaluated_rounds === null) return;
  // Started again in the middle, the first measurement comes from the log.
  if (losses.length === 0 && first !== null) losses.push({ merged_rounds: 0, loss: first });
  if (losses.at(-1)!.merged_rounds < evaluated_rounds) losses.push({ merged_rounds: evaluated_rounds, loss: last });
}

/** A round as one line, where the output is a file or a pipe. */
function plainLine(status: RunStatus): string {
  const { round, rounds, metrics, unit, amount_per_second, bytes_submitted, dense_bytes } = status;
  const worked = status.peers.filter((peer) => peer.role === 'worker' && peer.credit_amount > 0).length;
  const ratio = bytes_submitted > 0 ? `, ${(dense_bytes / bytes_submitted).toFixed(0)}x less than dense` : '';
  return `round ${round} of ${rounds}: loss ${metrics[0].last?.toFixed(3)}, ${worked} workers, ${formatCount(amount_per_second)} ${nameOf(unit)}/s, ${formatBytes(bytes_submitted)} sent${ratio}`;
}

async function writeSample(taken: TakenModel): Promise<string> {
  const threads = availableParallelism();
  const model = { ...taken, weights: await weightsOf(taken) };
  const runtime = await (isNativeHere() ? createNativeRuntime({ threads }) : createWasmRuntime({ threads }));
  try {
    let longest = '';
    // A model that has learnt little may end its text after a word or two; then it begins another.
    for (let attempt = 0; attempt < SAMPLE_ATTEMPTS && longest.length < SAMPLE_CHARACTERS; attempt++) {
      let text = '';
      const options = { ...SAMPLE, prompt: 'The ', seed: `sample ${attempt}`, signal: new AbortController().signal };
      for await (const piece of generate(runtime, model, options)) text += piece;
      if (text.length > longest.length) longest = text;
    }
    return longest;
  } finally {
    await runtime.close();
  }
}

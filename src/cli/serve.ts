// `potluck serve MODEL`: the OpenAI API on this device alone.
import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import { availableParallelism } from 'node:os';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { Command, Option } from 'commander';
import { Hono } from 'hono';
import { runProgram } from '../games/programs/node-programs.ts';
import { isOwnHost } from '../hub/askers.ts';
import { listen } from '../hub/sockets.ts';
import { transferTeller } from '../peer/blobs.ts';
import { fired, systemClock } from '../protocol/clock.ts';
import type { AnswerServer, OfferedModel } from '../serving/answers.ts';
import type { Addressed } from '../serving/api/access.ts';
import type { Answered } from '../serving/api/answering.ts';
import { openaiApi } from '../serving/api/app.ts';
import { ApiError } from '../serving/api/errors.ts';
import { type PoolBehind, withPoolBehind } from '../serving/api/pool-behind.ts';
import { TRUST_HEADER } from '../serving/api/trust.ts';
import type { UsageBook } from '../serving/api/usage-book.ts';
import { committee } from '../serving/committee.ts';
import { checkedBy, scoredBy, surestVotes, type Verifier } from '../serving/committee-verifiers.ts';
import { potluckHere } from './called-as.ts';
import { openKeptUsage } from './kept-usage.ts';
import { keysFromFile, readKeys } from './key-file.ts';
import { untilStopped } from './lifetime.ts';
import { readCheck } from './named-file.ts';
import { hubUrl, integer, jsonOption, SERVE_PORT } from './options.ts';
import { CliError, formatCount, type Output, openOutput } from './output.ts';
import { ownAccounts } from './own-accounts.ts';
import { modelWord } from './run-links.ts';
import { keysCommand } from './serve-keys.ts';
import { openModels, placesOf } from './serve-models.ts';

/** What streams get to say that the server goes down. */
const GOODBYE_MS = 1000;
const MOST_PLACES = 256;

interface ServeFlags {
  port: number;
  host: string;
  name?: string;
  licence?: string;
  places: number;
  threads: number;
  check?: string;
  scorer?: string;
  keys: boolean;
  pool?: string;
  poolKey?: string;
  poolTrust: string;
  origin: string[];
  json: boolean;
}

export function serveCommand(): Command {
  return new Command('serve')
    .argument(
      '[models...]',
      "a model's folder, a .gguf file, or RUN@URL for the present model of a run (default: the demo's newest)",
    )
    .option('--port <n>', 'port to listen on; 0 takes any free one', integer(0, 65_535), SERVE_PORT)
    .option('--host <address>', 'address to listen on; any but this machine needs keys', '127.0.0.1')
    .option('--name <name>', 'how callers name the model, where it is only one')
    .option('--licence <name>', 'the terms under which the model is offered, such as Apache-2.0')
    .option('--places <n>', 'answers that are written at the same time', integer(1, MOST_PLACES), 4)
    .addOption(
      new Option('--threads <n>', 'threads that compute')
        .argParser(integer(1, 256))
        .default(Math.max(1, Math.floor(availableParallelism() / 2)), 'half of the cores'),
    )
    .option(
      '--check <file>',
      'JavaScript that chooses the answer of a committee: a function of {prompt, answer} that says true for a right one',
    )
    .option(
      '--scorer <model>',
      'a model that chooses the answer of a committee where no check does; it has learned from graded answers (potluck grade)',
    )
    .option(
      '--pool <url>',
      'a hub whose pool answers what has no room here, or is not here: its devices can read it',
      hubUrl,
    )
    .option('--pool-key <key>', 'the key of that hub')
    .option('--pool-trust <whose>', 'whose devices may: any, mine (those that the key names), or accounts', 'any')
    .option('--keys', 'demand a key of callers on this machine too, as behind a proxy', false)
    .option(
      '--origin <url>',
      'pages of this origin may ask as well as those of this machine; may be given again',
      (text: string, before: string[]) => [...before, text.replace(/\/$/, '')],
      [],
    )
    .addOption(jsonOption())
    .addCommand(keysCommand())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck serve                              the demo's newest model
  $ potluck serve ./my-model --places 8
  $ potluck serve ./one ./two                  callers may also name "committee:one+two" or "committee:one*3" as the model
  $ potluck serve ./one ./two --scorer ./scorer
  $ potluck serve "my run@https://hub.example.org"
  $ potluck serve ./my-model --pool https://hub.example.org --pool-key KEY --pool-trust mine
  $ potluck serve keys add laptop && potluck serve ./my-model --host 0.0.0.0`,
    )
    .action(runServe);
}

/** Serves until it is stopped. */
async function runServe(words: string[], flags: ServeFlags): Promise<void> {
  const output = openOutput(flags.json);
  const stopped = untilStopped();
  const needs_keys = flags.keys || !isOwnHost(flags.host);
  if (needs_keys && (await readKeys()).length === 0) {
    const where = flags.keys ? 'callers need keys' : `${flags.host} lets other machines in, whose callers need keys`;
    throw new CliError('bad-argument', `${where}, and there are none: ${potluckHere()} serve keys add NAME`);
  }
  const program = flags.check === undefined ? null : readCheck(flags.check);
  const places = placesOf(await Promise.all(words.map(modelWord)));
  if (flags.name !== undefined && places.length > 1) {
    throw new CliError('bad-argument', '--name goes with one model');
  }
  const onTransfer = transferTeller((sentence, transfer) => output.say(sentence, { type: 'transfer', ...transfer }));
  const onNews = (message: string): void => output.say(message, { type: 'problem', where: 'engine', message });
  const { threads, name, licence = null } = flags;
  const settings = { threads, places: flags.places, licence, onTransfer, onNews };
  const scorer = flags.scorer === undefined ? null : await openModels(placesOf([flags.scorer]), settings);
  try {
    const alone = await openModels(places, { ...settings, name });
    const server = committee(alone, {
      verifier: verifierOf(program, scorer),
      onFailed: (model, error) => tellProblem(output, error, model, `${model} of a committee`),
    });
    const usage = openKeptUsage((error) => tellProblem(output, error, 'the count of usage'));
    try {
      const own = await ownAccounts();
      const pool = flags.pool ? { url: flags.pool, key: flags.poolKey ?? null, trust: flags.poolTrust } : null;
      const http = httpServer(server, { needs_keys, origins: flags.origin, own, usage, pool }, output);
      const url = shownUrl(await listen(http, flags.host, flags.port));
      output.say(welcome(`${url}/v1`, server.models(), needs_keys, pool), {
        type: 'serving',
        url: `${url}/v1`,
        models: server.models(),
        keys: needs_keys,
      });
      await fired(stopped);
      const closed = new Promise((resolve) => http.close(resolve));
      await alone.close();
      setTimeout(() => http.closeAllConnections(), GOODBYE_MS).unref();
      await closed;
    } finally {
      await alone.close();
      usage?.close();
    }
  } finally {
    await scorer?.close();
  }
  output.say('The API has stopped.', { type: 'stopped' });
}

/** How committees choose here: by the check, else by the scorer, else by how sure their members were. */
function verifierOf(program: string | null, scorer: AnswerServer | null): Verifier {
  const otherwise = scorer ? scoredBy(scorer, surestVotes) : surestVotes;
  return program === null ? otherwise : checkedBy(program, runProgram, otherwise);
}

/** Tells of what went wrong while the server goes on. */
function tellProblem(output: Output, error: unknown, where: string, place = where): void {
  const message = error instanceof Error ? error.message : String(error);
  output.say(`problem in ${place}: ${message}`, { type: 'problem', where, message });
}

interface Door {
  readonly needs_keys: boolean;
  /** Pages of which may ask, beside those of this machine. */
  readonly origins: readonly string[];
  /** Whose device this is. */
  readonly own: readonly string[];
  readonly usage: UsageBook | undefined;
  /** What answers where this machine has no room; null: nothing. */
  readonly pool: Pick<PoolBehind, 'url' | 'key' | 'trust'> | null;
}

function httpServer(server: AnswerServer, { needs_keys, origins, own, usage, pool }: Door, output: Output): Server {
  const trusting = (owners: ReadonlySet<string>): AnswerServer => {
    if (own.some((owner) => owners.has(owner))) return server;
    throw new ApiError('unsupported', `${TRUST_HEADER}: the one device that answers here is of another owner`);
  };
  const app = new Hono();
  app.route(
    '/',
    openaiApi(server, {
      clock: systemClock,
      newId: () => randomBytes(12).toString('hex'),
      keys: needs_keys ? keysFromFile() : null,
      own,
      usage,
      trusting,
      // Where every caller needs a key, the key decides; else no page of a stranger may use what only this machine should.
      ...(!needs_keys && { admits: (addressed) => isFromHere(addressed, origins) }),
      onError: (error, where) => tellProblem(output, error, where),
      onAnswered: (answered) => output.say(lineOf(answered), { type: 'answered', ...answered }),
    }),
  );
  app.get('/', (c) => c.text(`The OpenAI API, served by Potluck, is under ${new URL('/v1', c.req.url)}.\n`));
  if (!pool) return createAdaptorServer({ fetch: app.fetch }) as Server;
  const behind = withPoolBehind<HttpBindings>(app.fetch, {
    ...{ ...pool, models: () => server.models() },
    onForwarded({ path, model, why }) {
      const { url } = pool;
      output.say(`${model}: not answered here (${why}), goes on to ${url}`, {
        type: 'forwarded',
        path,
        model,
        why,
        url,
      });
    },
    onRefused: (status) => tellProblem(output, `it answers ${status}: expected a --pool-key that it takes`, pool.url),
  });
  return createAdaptorServer({ fetch: (request, env) => behind(request, env as HttpBindings) }) as Server;
}

/** Whether a request is for this machine by name, and from a program or a page of this machine (see hub/origins.ts). */
export function isFromHere({ host, origin }: Addressed, origins: readonly string[]): boolean {
  if (host === undefined || !isOwnHost(host.replace(/:\d*$/, ''))) return false;
  if (origin === undefined || origins.includes(origin)) return true;
  const page = URL.parse(origin);
  return page !== null && isOwnHost(page.hostname);
}

/** The same address with the name of this machine, where it is that. */
function shownUrl(url: string): string {
  const { hostname, port } = new URL(url);
  return isOwnHost(hostname) ? `http://localhost:${port}` : url;
}

function welcome(base_url: string, models: readonly OfferedModel[], needs_keys: boolean, pool: Door['pool']): string {
  const [{ name }] = models;
  const body = JSON.stringify({ model: name, messages: [{ role: 'user', content: 'Hello' }] });
  const key = needs_keys ? " -H 'authorization: Bearer KEY'" : '';
  return [
    `The API listens on ${base_url}`,
    ...models.map(
      ({ name, engine, quantisation, context_tokens }) =>
        `  model ${name}: ${quantisation} on the engine ${engine}, reads and writes ${formatCount(context_tokens)} tokens together`,
    ),
    'Ask it:',
    `  ${potluckHere()} chat ${base_url}`,
    `  curl ${base_url}/chat/completions -H 'content-type: application/json'${key} -d '${body}'`,
    ...(needs_keys
      ? [
          'Callers need keys. What they ask is computed here and not kept, but this machine can read it, and so can whoever is on',
          'the way: put a proxy with HTTPS in front of it where others ask.',
        ]
      : [`What is asked and answered ${pool ? 'here' : 'stays on this machine, and'} is not kept.`]),
    ...(pool ? [`What has no room here goes on to ${pool.url}: devices of its pool can read it (${pool.trust}).`] : []),
    'Ctrl-C stops it.',
  ].join('\n');
}

const lineOf = ({ model, prompt_tokens, completion_tokens, duration_ms, end }: Answered): string => {
  const how = { whole: '', gone: ', the client left', failed: ', failed' }[end];
  return `${model}: ${formatCount(prompt_tokens)} tokens read, ${formatCount(completion_tokens)} written, ${(duration_ms / 1000).toFixed(1)} s${how}`;
};

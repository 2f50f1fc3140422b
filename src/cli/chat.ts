// `potluck chat`: a conversation in the terminal, or line by line through a pipe, with this machine's server or any other.
import { createInterface } from 'node:readline';
import { Command } from 'commander';
import { potluckHere } from './called-as.ts';
import { type AnswerEnd, type ChatSettings, chatAnswer, type Endpoint, modelsAt, type Turn } from './chat-client.ts';
import { untilStopped } from './lifetime.ts';
import { apiUrl, decimal, integer, jsonOption, SERVE_PORT } from './options.ts';
import { CliError, type Output, openOutput, printable } from './output.ts';

interface ChatFlags {
  model?: string;
  key?: string;
  system?: string;
  maxTokens?: number;
  temperature?: number;
  seed?: number;
  json: boolean;
}

const HERE = `http://localhost:${SERVE_PORT}/v1`;

export function chatCommand(): Command {
  return new Command('chat')
    .argument('[url]', `the address of a server's API (default: ${HERE})`, apiUrl)
    .option('--model <name>', 'the model to ask (default: the first that the server lists)')
    .option(
      '--key <key>',
      'the key for that server (or the variable POTLUCK_API_KEY, which no list of processes shows)',
    )
    .option('--system <text>', 'what the model is told before the conversation')
    .option('--max-tokens <n>', 'the most tokens of an answer', integer(1, 65_536))
    .option('--temperature <t>', '0 for the likeliest words, 1 for the model’s own choice', decimal(0, 2))
    .option('--seed <n>', 'the same seed and words give the same answer', integer(0, 2 ** 31 - 1))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck chat
  $ potluck chat https://hub.example.org/v1 --model poems
  $ echo "Tell me about tides" | potluck chat

/new begins again, /exit or the end of the input ends it; Ctrl-C ends an answer.`,
    )
    .action(runChat);
}

async function runChat(url: string | undefined, flags: ChatFlags): Promise<void> {
  const output = openOutput(flags.json);
  const stopped = untilStopped();
  const endpoint: Endpoint = { base_url: url ?? HERE, key: flags.key ?? process.env.POTLUCK_API_KEY ?? null };
  const names = await modelsAt(endpoint).catch((error: unknown) => {
    if (!(error instanceof CliError) || error.code !== 'no-server' || url !== undefined) throw error;
    throw new CliError('no-server', `${error.message}; start it with ${potluckHere()} serve`);
  });
  const model = flags.model ?? names[0];
  if (model === undefined) throw new CliError('no-server', `${endpoint.base_url} serves no model`);
  const { maxTokens: max_tokens, temperature, seed } = flags;
  const settings: ChatSettings = { model, ...(max_tokens && { max_tokens }), ...{ temperature, seed } };
  const talk = openTalk(endpoint, settings, flags.system ?? null, output);
  const terminal = Boolean(process.stdin.isTTY && process.stdout.isTTY) && !flags.json;
  const lines = createInterface({
    ...{ input: process.stdin, terminal, prompt: '> ' },
    ...(terminal && { output: process.stdout }),
  });
  const prompt = (): void => {
    if (terminal) lines.prompt();
  };
  if (terminal)
    output.say(`You talk to ${model} at ${endpoint.base_url}. /new begins again, /exit ends.`, {
      type: 'talking',
      model,
      url: endpoint.base_url,
    });
  // A terminal's Ctrl-C reaches this line editor and not the process.
  lines.on('SIGINT', () => {
    if (!talk.interrupt()) lines.close();
  });
  stopped.addEventListener('abort', () => {
    talk.interrupt();
    lines.close();
  });
  prompt();
  for await (const line of lines) {
    const said = line.trim();
    if (said === '/exit' || stopped.aborted) break;
    if (said === '/new') talk.begin();
    else if (said !== '') await talk.say(said);
    prompt();
  }
  lines.close();
  process.stdin.unref?.();
}

interface Talk {
  /** Says something and prints the answer. What the server refuses is printed where a person can say something else. */
  say(words: string): Promise<void>;
  /** Ends the answer that is being written; false: there is none. */
  interrupt(): boolean;
  /** Forgets what was said. */
  begin(): void;
}

function openTalk(endpoint: Endpoint, settings: ChatSettings, system: string | null, output: Output): Talk {
  const beginning: Turn[] = system === null ? [] : [{ role: 'system', content: system }];
  let turns: Turn[] = beginning;
  let answering: AbortController | null = null;

  /** One answer to the turns so far, printed as it comes. */
  const answer = async (signal: AbortSignal): Promise<{ text: string; end: AnswerEnd | null }> => {
    const pieces = chatAnswer(endpoint, settings, turns, signal);
    let text = '';
    try {
      for (;;) {
        const next = await pieces.next();
        if (next.done) return { text, end: next.value };
        text += next.value;
        if (!output.json) process.stdout.write(printable(next.value));
      }
    } catch (error) {
      if (signal.aborted) return { text, end: null };
      throw error;
    }
  };

  /** The same, without the oldest turns as long as the model's context does not hold all of them. */
  const answerWhatFits = async (signal: AbortSignal) => {
    for (;;) {
      try {
        return await answer(signal);
      } catch (error) {
        const isTooLong = error instanceof CliError && error.details.code === 'context_length_exceeded';
        if (!isTooLong || turns.length <= beginning.length + 1) throw error;
        turns = [...beginning, ...turns.slice(beginning.length + 2)];
      }
    }
  };

  return {
    async say(words) {
      turns = [...turns, { role: 'user', content: words }];
      answering = new AbortController();
      try {
        const { text, end } = await answerWhatFits(answering.signal);
        turns = [...turns, { role: 'assistant', content: text }];
        if (!output.json) process.stdout.write('\n');
        output.say('', { type: 'said', model: settings.model, text, ...(end ?? UNFINISHED) });
      } catch (error) {
        turns = turns.slice(0, -1);
        throw error;
      } finally {
        answering = null;
      }
    },
    interrupt() {
      answering?.abort();
      return answering !== null;
    },
    begin() {
      turns = beginning;
    },
  };
}

const UNFINISHED: AnswerEnd = { finish_reason: null, prompt_tokens: null, completion_tokens: null };

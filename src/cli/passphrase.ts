// Passphrases from the variable POTLUCK_PASSPHRASE, or typed by a person at the terminal without echo.
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { CliError } from './output.ts';

const VARIABLE = 'POTLUCK_PASSPHRASE';
/** If a guess takes half a second, eight random characters take longer than anybody can try. */
const FEWEST_CHARACTERS = 8;

const atTerminal = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true;

/** The passphrase of an encrypted key; null where the variable is not set and there is no terminal. */
export async function askPassphrase(path: string): Promise<string | null> {
  return process.env[VARIABLE] ?? (atTerminal() ? hidden(`Passphrase of ${path}: `) : null);
}

/** A new passphrase, typed twice. Throws CliError `bad-argument`. */
export async function newPassphrase(): Promise<string> {
  const given = process.env[VARIABLE];
  if (given === undefined && !atTerminal()) {
    throw new CliError('bad-argument', `expected a passphrase in ${VARIABLE}, or a terminal to type it in`);
  }
  const first = given ?? (await hidden('New passphrase: '));
  if ([...first].length < FEWEST_CHARACTERS) {
    throw new CliError('bad-argument', `expected a passphrase of at least ${FEWEST_CHARACTERS} characters`);
  }
  if (given === undefined && (await hidden('The same again: ')) !== first) {
    throw new CliError('bad-argument', 'the two passphrases differ; nothing was changed');
  }
  return first;
}

async function hidden(question: string): Promise<string> {
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  const stopped = new AbortController();
  lines.once('SIGINT', () => stopped.abort());
  try {
    return await lines.question('', { signal: stopped.signal });
  } catch {
    throw new CliError('stopped', 'no passphrase was typed');
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}

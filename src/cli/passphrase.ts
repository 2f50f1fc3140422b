// Passphrases from the variable POTLUCK_PASSPHRASE, or from a person at the terminal, who does not see what is typed.
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { CliError } from './output.ts';

const VARIABLE = 'POTLUCK_PASSPHRASE';
/** With a guess costing half a second, eight characters chosen at random outlast whoever has the file. */
const FEWEST_CHARACTERS = 8;

const atTerminal = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true;

/** For a key that is under a passphrase; null where neither the variable is set nor a person is there. */
export async function askPassphrase(path: string): Promise<string | null> {
  return process.env[VARIABLE] ?? (atTerminal() ? hidden(`Passphrase of ${path}: `) : null);
}

/** A new one, typed twice by a person. Throws CliError bad-argument. */
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

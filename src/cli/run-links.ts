// An address with a run, as the page and people pass it on: https://hub.example/r/3fa9c1, or https://registry.example/#my run. It stands where a
// command takes a run or a hub, and is looked up before the command runs: in that hub's log, or in its directory of runs that are elsewhere.
import type { Argument, Command, Option } from 'commander';
import { hubUrl, logPlace, runHandle, runHandles } from './options.ts';
import { CliError } from './output.ts';

const PAGE_LINK = /^(https?:\/\/[^\s/?#@]+)\/r\/([0-9a-f]{4,64})(?:\/(?:device|play))?\/?$/i;
const RUN_LINK = /^(https?:\/\/[^\s/?#@]+)\/?#(.+)$/i;

/** The address and the run of a link; null for every other word. */
export function runLink(text: string): { readonly url: string; readonly run: string } | null {
  const [, url, run] = PAGE_LINK.exec(text) ?? RUN_LINK.exec(text) ?? [];
  if (run === undefined) return null;
  try {
    return { url: hubUrl(url), run: decodeURIComponent(run) };
  } catch {
    return null;
  }
}

const orLink = (parse: (text: string) => string) => (text: string) => (runLink(text) ? text : parse(text));

/** As hubUrl and logPlace; an address with a run means the hub where that run is, and that run where the command takes one. */
export const hubOrRun = orLink(hubUrl);
export const logOrRun = orLink(logPlace);

const HUBS: readonly unknown[] = [hubOrRun, logOrRun];
const RUNS: readonly unknown[] = [runHandle, runHandles];

/** What links have led to, so that whoever is started with the same words need not ask again. */
const followed = new Map<string, RunPlace>();

interface RunPlace {
  readonly url: string;
  readonly run: string;
}

/** Puts hubs and runs in the place of links, in what a command is about to be called with. Throws CliError `bad-argument`, and what findRunFrom throws. */
export async function followLinks(command: Command): Promise<void> {
  const words = command.processedArgs;
  for (const [i, argument] of command.registeredArguments.entries()) {
    const value: unknown = words[i];
    words[i] = Array.isArray(value)
      ? await Promise.all(value.map((one: unknown) => replaced(command, argument, one)))
      : await replaced(command, argument, value);
  }
  for (const option of command.options) {
    const name = option.attributeName();
    const value: unknown = command.getOptionValue(name);
    const now = await replaced(command, option, value);
    if (now !== value) command.setOptionValueWithSource(name, now, 'cli');
  }
}

/** A word, or what its link means there; the other half of the link goes to the option that takes it. */
async function replaced(command: Command, { parseArg }: Argument | Option, word: unknown): Promise<unknown> {
  const [isHub, isRun] = [HUBS.includes(parseArg), RUNS.includes(parseArg)];
  if (typeof word !== 'string' || !(isHub || isRun) || !runLink(word)) return word;
  const { url, run } = await placeOfLink(word);
  if (isRun) setBeside(command, 'hub', url, word);
  else if (command.options.some((option) => option.attributeName() === 'run')) setBeside(command, 'run', run, word);
  else if (command.registeredArguments.some((argument) => RUNS.includes(argument.parseArg))) {
    throw new CliError('bad-argument', `${word} names a run: give it in the place of the run, and no other`);
  }
  return isRun ? run : url;
}

function setBeside(command: Command, name: 'hub' | 'run', value: string, word: string): void {
  const given = command.getOptionValueSource(name) === 'cli' ? [command.getOptionValue(name)].flat() : [];
  if (given.some((one) => one !== value))
    throw new CliError(
      'bad-argument',
      `${word} says which ${name} is meant (${value}), and --${name} ${given} says another`,
    );
  const collects = Array.isArray(command.getOptionValue(name));
  command.setOptionValueWithSource(name, collects ? [value] : value, 'cli');
}

/** Where a link's run is now. Throws what findRunFrom throws. */
async function placeOfLink(link: string): Promise<RunPlace> {
  const { findRunFrom } = await import('../peer/directory.ts'); // few commands need it
  const { url, run } = runLink(link)!;
  const at = await findRunFrom(url, run);
  const place = { url: at.url, run: at.view.run };
  followed.set(link, place);
  return place;
}

/** A model on the command line of `potluck serve`: a link in its form RUN@URL. */
export async function modelWord(word: string): Promise<string> {
  if (!runLink(word)) return word;
  const { url, run } = await placeOfLink(word);
  return `${run}@${url}`;
}

/** The words of a `potluck join` with what its link has led to: a process that is started again later asks nobody. */
export const joinWordsWithoutLinks = (words: readonly string[]): string[] =>
  words.flatMap((word) => {
    const place = followed.get(word);
    return place ? [place.url, '--run', place.run] : [word];
  });

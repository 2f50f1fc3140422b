// `potluck serve keys`: who may ask this machine's API when it listens to others.
import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { accountOf, type KeyRecord, makeKey } from '../serving/api/keys.ts';
import { dayBefore, USAGE_LIMITS } from '../serving/api/usage-book.ts';
import { addedUp, NOTHING, type UsageCounts } from '../serving/api/usage-form.ts';
import { usageSince } from './kept-usage.ts';
import { keyFile, readKeys, writeKeys } from './key-file.ts';
import { deviceName, fullId, integer, jsonOption } from './options.ts';
import { CliError, formatCount, openOutput } from './output.ts';
import { mineOrNamed } from './own-accounts.ts';
import { columnsOf, padTo } from './text-columns.ts';

export function keysCommand(): Command {
  const command = new Command('keys').description('make, list and remove the keys by which others may ask').addHelpText(
    'after',
    `
Examples:
  $ potluck serve keys add "Ada's laptop" --requests 60 --tokens 20000
  $ potluck serve keys list
  $ potluck serve keys remove 3fa9c1d2e4b5`,
  );
  return command.addCommand(addCommand()).addCommand(listCommand(), { isDefault: true }).addCommand(removeCommand());
}

interface AddFlags {
  requests?: number;
  tokens?: number;
  owners?: string;
  account?: string;
}

function addCommand(): Command {
  return new Command('add')
    .description('make a key; it is shown once, and only its hash is kept')
    .argument('<name>', 'whose it is', deviceName)
    .option('--requests <n>', 'requests in a minute (default: as many as there are)', integer(1, 1e9))
    .option(
      '--tokens <n>',
      'tokens in a minute, of prompts and answers (default: as many as there are)',
      integer(1, 1e12),
    )
    .option(
      '--owners <accounts>',
      'only devices of these accounts may get, and so read, what is asked with it: separated by commas, a file with one a line, or mine',
    )
    .option(
      '--account <id>',
      'the account whose credit pays for what is asked with it (default: one of its own)',
      fullId,
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck serve keys add laptop --tokens 20000
  $ potluck serve keys add diary --owners mine`,
    )
    .action(async (name: string, flags: AddFlags, command: Command) => {
      const owners = flags.owners === undefined ? null : await mineOrNamed(flags.owners);
      const quota = { requests_per_minute: flags.requests ?? null, tokens_per_minute: flags.tokens ?? null, owners };
      const { key, record } = makeKey(name, { ...quota, account: flags.account }, Date.now(), randomBytes);
      await writeKeys([...(await readKeys()), record]);
      const account = accountOf(record);
      const text = `${key}\n\nThe key ${record.id} of ${name} is shown this once: ${keyFile()} has only its hash.\nIts account, where answers cost credit: ${account}`;
      outputOf(command).say(text, { type: 'key_made', id: record.id, name, key, account });
    });
}

function listCommand(): Command {
  return new Command('list')
    .description('the keys that there are, and how much was asked with each')
    .option('--days <n>', 'days that are counted, today included, in UTC', integer(1, USAGE_LIMITS.days), 30)
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ potluck serve keys list --days 7')
    .action(async (flags: { days: number }, command: Command) => {
      const since = dayBefore(Date.now(), flags.days - 1);
      const usage = usageSince(since);
      const keys = (await readKeys()).map(({ hash, account, ...rest }) => ({
        ...{ ...rest, account: accountOf({ hash, account }) },
        used: usage.filter(({ key }) => key === rest.id).reduce<UsageCounts>(addedUp, NOTHING),
      }));
      const text = keys.length === 0 ? 'There are no keys: nobody but this machine may ask.' : tableOf(keys, since);
      outputOf(command).say(text, { type: 'keys', since, keys });
    });
}

type ListedKey = Omit<KeyRecord, 'hash'> & { readonly used: UsageCounts };

function tableOf(keys: readonly ListedKey[], since: string): string {
  const most = (limit: number | null, of: string): string => (limit === null ? `any ${of}` : `${limit} ${of} a minute`);
  const rows = keys.map(({ id, name, created_ms, requests_per_minute, tokens_per_minute, owners, used }) => [
    ...[id, name, new Date(created_ms).toISOString().slice(0, 10)],
    `${most(requests_per_minute, 'requests')}, ${most(tokens_per_minute, 'tokens')}`,
    owners === null ? 'any device' : `devices of ${owners.map((owner) => owner.slice(0, 12)).join(', ')}`,
    `${formatCount(used.requests)} requests, ${formatCount(used.input_tokens)} tokens read, ${formatCount(used.output_tokens)} written` +
      (used.errors > 0 ? `, ${formatCount(used.errors)} errors` : '') +
      (used.too_many > 0 ? `, ${formatCount(used.too_many)} too many` : ''),
  ]);
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => columnsOf(row[i]))));
  const lines = rows.map((row) =>
    row
      .map((cell, i) => padTo(cell, widths[i]))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, `Counted since ${since}; the last seconds may be missing.`].join('\n');
}

function removeCommand(): Command {
  return new Command('remove')
    .description('remove a key: whoever holds it is locked out at once')
    .argument('<id>', 'the id or the name of a key')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ potluck serve keys remove laptop')
    .action(async (word: string, _: unknown, command: Command) => {
      const keys = await readKeys();
      const meant = keys.filter(({ id, name }) => id === word || name === word);
      if (meant.length === 0) throw new CliError('bad-argument', `no key is called ${word}: potluck serve keys list`);
      if (meant.length > 1) {
        const ids = meant.map(({ id }) => id).join(', ');
        throw new CliError('bad-argument', `${meant.length} keys are called ${word}: name one by its id, ${ids}`);
      }
      const [{ id, name }] = meant;
      await writeKeys(keys.filter((key) => key.id !== id));
      outputOf(command).say(`The key ${id} of ${name} is removed.`, { type: 'key_removed', id, name });
    });
}

/** `serve` takes --json as well, and commander gives it to the outermost command that does. */
const outputOf = (command: Command) => openOutput(command.optsWithGlobals<{ json: boolean }>().json);

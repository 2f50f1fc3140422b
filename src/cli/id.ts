// `potluck id`: the key that a person's devices earn for: shows it, moves it to another machine, and revokes a device with it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { Command } from 'commander';
import { stateAddress } from '../owner/owner.ts';
import {
  checksummedAddress,
  type DeviceOnDisk,
  devicesBelow,
  installKey,
  normaliseAddress,
} from '../owner/ownership.ts';
import { phraseOf, secretOfPhrase } from '../owner/ownership-phrase.ts';
import { RENEWED_MS } from '../peer/device-binding.ts';
import { whereToSay } from '../peer/registry.ts';
import { sendEvent } from '../peer/send-event.ts';
import { signEvent } from '../protocol/envelope.ts';
import { type Identity, isPeerId } from '../protocol/identity.ts';
import {
  loadIdentity,
  loadOrCreateIdentity,
  readIdentitySecret,
  relockIdentityFile,
} from '../protocol/identity-file.ts';
import { homeFolder, mustBeWritable, ownerKeyFile } from './folders.ts';
import { DEFAULT_HUB, hubUrl, jsonOption } from './options.ts';
import { CliError, openOutput } from './output.ts';
import { newPassphrase } from './passphrase.ts';

const SECRET_WARNING = 'Whoever has it can act as you and take what you hold. Nobody can give it back when it is lost.';

export function idCommand(): Command {
  const command = new Command('id').addHelpText(
    'after',
    `
Examples:
  $ potluck id                                  your id and the devices on this machine
  $ potluck id phrase                           24 words that are your key
  $ potluck id import --phrase                  on another machine; asks for the words on its standard input
  $ potluck id lock                             puts the key under a passphrase
  $ potluck id revoke 3fa9c1 --hub URL          a device was stolen: nobody believes its key from now on
  $ potluck id address 0x52908400098527886E0F7030069857D2E4169EE7 --hub URL`,
  );
  const parts = [
    ...[showCommand, exportCommand, importCommand, phraseCommand, lockCommand, unlockCommand],
    ...[revokeCommand, addressCommand],
  ];
  for (const part of parts) command.addCommand(part(), { isDefault: part === showCommand });
  return command;
}

const withKey = (name: string, example = ''): Command =>
  new Command(name)
    .option('--owner <file>', 'the key, instead of the one under ~/.potluck')
    .addOption(jsonOption())
    .addHelpText('after', `\nExample:\n  $ potluck id ${`${name} ${example}`.trim()}`);

const keyFile = (flags: { owner?: string }): string => flags.owner ?? ownerKeyFile();

/** Secrets are printed where the person asked for them; the warning goes to the terminal. */
function warn(text: string, json: boolean): void {
  if (!json) process.stderr.write(`${styleText('yellow', text, { stream: process.stderr })}\n`);
}

function showCommand(): Command {
  return withKey('show')
    .description("your id (made on first use) and the devices in this machine's folders")
    .action(async (flags: { owner?: string; json: boolean }) => {
      const file = keyFile(flags);
      const owner = await loadOrCreateIdentity(file);
      const devices = await devicesBelow(join(homeFolder(), 'peers'));
      openOutput(flags.json).say(describe(owner, file, devices), {
        type: 'identity',
        owner: owner.id,
        file,
        devices: devices.map(({ device, folder, certificate }) => ({
          device,
          folder,
          owner: certificate?.owner ?? null,
          expires_ms: certificate?.expires_ms ?? null,
        })),
      });
    });
}

function describe(owner: Identity, file: string, devices: readonly DeviceOnDisk[]): string {
  const lines = [`you      ${owner.id}`, `key      ${file}`];
  for (const { device, folder, certificate } of devices) {
    const until = certificate ? untilWords(certificate.expires_ms) : '';
    const whose = certificate?.owner === owner.id ? 'yours' : `for ${certificate?.owner.slice(0, 12)}`;
    lines.push(`device   ${device}  ${certificate ? `${whose}, ${until}` : 'not bound yet'}  ${folder}`);
  }
  return lines.join('\n');
}

/** A device renews its certificate itself when it joins in the certificate's last month, or after its end. */
function untilWords(expires_ms: number): string {
  const day = new Date(expires_ms).toISOString().slice(0, 10);
  if (expires_ms < Date.now()) return `ended on ${day}, renewed at its next join`;
  return expires_ms - Date.now() < RENEWED_MS ? `until ${day}, renewed at its next join` : `until ${day}`;
}

function exportCommand(): Command {
  return withKey('export', './my.key')
    .description('write your key to a file (mode 0600)')
    .argument('<file>', 'the file to make; one that is there is left alone')
    .option('--force', 'replace another key that is in the file; that one is set aside beside it', false)
    .action(async (file: string, flags: { owner?: string; force: boolean; json: boolean }) => {
      mustBeWritable(file);
      await loadOrCreateIdentity(keyFile(flags));
      const { id, set_aside } = await installKey(file, await readIdentitySecret(keyFile(flags)), flags.force);
      warn(`${file} is your key, without a password. ${SECRET_WARNING}`, flags.json);
      openOutput(flags.json).say(`Wrote the key of ${id.slice(0, 12)} to ${file}.`, {
        type: 'exported-key',
        owner: id,
        file,
        set_aside,
      });
    });
}

function importCommand(): Command {
  return withKey('import', './my.key')
    .description('make a key, from a file or from its 24 words, the key of this machine')
    .argument('[file]', 'a file that `potluck id export` wrote')
    .option('--phrase [words]', 'the 24 words; without them they are read from standard input')
    .option('--force', 'replace another key that is here; that one is set aside beside it', false)
    .action(
      async (
        file: string | undefined,
        flags: { owner?: string; phrase?: string | true; force: boolean; json: boolean },
      ) => {
        if ((file === undefined) === (flags.phrase === undefined)) {
          throw new CliError('bad-argument', 'expected either a file or --phrase');
        }
        const secret = file ? await readIdentitySecret(file) : secretOfPhrase(wordsOf(flags.phrase!));
        const { id, set_aside } = await installKey(keyFile(flags), secret, flags.force);
        const aside = set_aside ? `\nThe key that was here is now ${set_aside}.` : '';
        openOutput(flags.json).say(`You are ${id} on this machine.${aside}`, {
          type: 'imported-key',
          owner: id,
          set_aside,
        });
      },
    );
}

/** Words on the command line would stay in the shell's history, so standard input is the usual way. */
function wordsOf(phrase: string | true): string {
  if (phrase !== true) return phrase;
  if (process.stdin.isTTY) process.stderr.write('The 24 words, then Enter and Ctrl-D:\n');
  return readFileSync(0, 'utf8');
}

function phraseCommand(): Command {
  return withKey('phrase')
    .description('show your key as 24 words to write down')
    .action(async (flags: { owner?: string; json: boolean }) => {
      const { id } = await loadOrCreateIdentity(keyFile(flags));
      const phrase = phraseOf(await readIdentitySecret(keyFile(flags)));
      warn(`These words are your key. ${SECRET_WARNING}`, flags.json);
      openOutput(flags.json).say(phrase, { type: 'phrase', owner: id, phrase });
    });
}

function lockCommand(): Command {
  return withKey('lock')
    .description(
      'put your key under a passphrase, or under another one; it is asked for, or read from POTLUCK_PASSPHRASE',
    )
    .action(async (flags: { owner?: string; json: boolean }) => {
      const file = keyFile(flags);
      await loadOrCreateIdentity(file);
      const { id } = await relockIdentityFile(file, await newPassphrase());
      warn('Nobody can open it without the passphrase: keep the 24 words (potluck id phrase) as well.', flags.json);
      openOutput(flags.json).say(`The key of ${id.slice(0, 12)} in ${file} is under a passphrase.`, {
        ...{ type: 'locked-key', owner: id, file, locked: true },
      });
    });
}

function unlockCommand(): Command {
  return withKey('unlock')
    .description('take the passphrase away again')
    .action(async (flags: { owner?: string; json: boolean }) => {
      const file = keyFile(flags);
      const { id } = await relockIdentityFile(file, null);
      openOutput(flags.json).say(`The key of ${id.slice(0, 12)} in ${file} opens without a passphrase.`, {
        ...{ type: 'locked-key', owner: id, file, locked: false },
      });
    });
}

function revokeCommand(): Command {
  return withKey('revoke', '3fa9c1 --hub http://hub.example:7700')
    .description('tell a hub that a device of yours is not to be believed any more; what it earned stays yours')
    .argument('<device>', "the device's id, or the beginning of that of a device on this machine")
    .option('--hub <url>', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .action(async (wanted: string, flags: { owner?: string; hub: string; json: boolean }) => {
      const owner = await loadIdentity(keyFile(flags));
      const device = isPeerId(wanted) ? wanted : await deviceHere(wanted);
      const at = await whereToSay(flags.hub);
      await sendEvent(at, await signEvent(owner, { type: 'device.revoked', version: 1, device }));
      openOutput(flags.json).say(`Device ${device.slice(0, 12)} is revoked on ${at}.`, {
        type: 'revoked',
        device,
      });
    });
}

async function deviceHere(beginning: string): Promise<string> {
  const devices = await devicesBelow(join(homeFolder(), 'peers'));
  const found = devices.filter(({ device }) => device.startsWith(beginning));
  if (found.length === 1) return found[0].device;
  throw new CliError(
    'bad-argument',
    `expected the 64 digits of a device, or the beginning of one of this machine's ${devices.length}; ${found.length} begin with "${beginning.slice(0, 64)}"`,
  );
}

function addressCommand(): Command {
  return withKey('address', '0x52908400098527886E0F7030069857D2E4169EE7')
    .description('say on a hub to which EVM address your shares may be settled')
    .argument('<address>', '0x and 40 hexadecimal digits')
    .option('--hub <url>', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .action(async (text: string, flags: { owner?: string; hub: string; json: boolean }) => {
      const address = normaliseAddress(text);
      const owner = await loadOrCreateIdentity(keyFile(flags));
      await stateAddress(flags.hub, owner, address);
      openOutput(flags.json).say(`What ${owner.id.slice(0, 12)} holds is settled at ${checksummedAddress(address)}.`, {
        type: 'address',
        owner: owner.id,
        address,
      });
    });
}

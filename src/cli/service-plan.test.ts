// The files of a service say what was meant to the system that reads them, whatever is in a path; read back here by that system's own rules.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { DOMParser, type Element } from '@xmldom/xmldom';
import fc from 'fast-check';
import { parse as parsePlist } from 'plist';
import { launchdPlan } from './service-launchd.ts';
import type { ServicePlan, ServiceSettings } from './service-plan.ts';
import { readSystemd, systemdPlan, UNIT } from './service-systemd.ts';
import { argument, windowsPlan } from './service-windows.ts';
import { xmlText } from './service-xml.ts';

const SETTINGS: ServiceSettings = {
  node: '/opt/node 24/bin/node',
  potluck: '/home/ada/potluck/bin/potluck.js',
  words: ['join', 'http://hub.example:7700', '--any-run'],
  home: '/home/ada/.potluck',
  folder: '/home/ada/.potluck/service',
  user: { home: '/home/ada', name: 'ada', uid: 1000 },
  asks_linger: false,
};

/** Text with everything that some format gives a meaning. */
const odd = fc
  .array(
    fc.oneof(
      fc.constantFrom(...'%$&"\'\\ ;<>{}#=~`\t\nüé漢🙂%n$HOME{}%%$$'),
      fc.string({ unit: 'grapheme', maxLength: 3 }),
    ),
    {
      minLength: 1,
      maxLength: 12,
    },
  )
  .map((parts) => parts.join(''))
  // No system has a word with the end of a string in it, nor one that is no Unicode.
  .filter((text) => text.isWellFormed() && !text.includes('\0'));
const word = odd.filter((text) => text !== '');
const path = odd.map((text) => `/${text.replaceAll('/', '')}`);

describe('systemd', () => {
  const lineOf = (settings: ServiceSettings, name: string): string => {
    const [{ text }] = systemdPlan(settings).files;
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}=`));
    assert.equal(lines.length, 1, text);
    return lines[0].slice(name.length + 1);
  };

  test('reads the command and its words as they were meant', () => {
    fc.assert(
      fc.property(path, path, fc.array(word, { maxLength: 4 }), (node, potluck, words) => {
        const [program, ...args] = wordsOf(lineOf({ ...SETTINGS, node, potluck, words }, 'ExecStart'));
        assert.equal(program, node); // in which no variables are looked for
        assert.deepEqual(args.map(withoutVariables), [potluck, ...words]);
      }),
      { numRuns: 500 },
    );
  });

  test('reads the home as it was meant', () => {
    fc.assert(
      fc.property(path, (home) => {
        assert.deepEqual(wordsOf(lineOf({ ...SETTINGS, home }, 'Environment')), [`POTLUCK_HOME=${home}`]);
      }),
      { numRuns: 500 },
    );
  });

  test('finds nothing wrong with the unit', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'potluck-unit-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const odd_home = `${folder}/a "b" %n $HOME ü`;
    const [{ text }] = systemdPlan({
      ...SETTINGS,
      node: process.execPath,
      potluck: import.meta.filename,
      home: odd_home,
    }).files;
    const unit = join(folder, UNIT);
    writeFileSync(unit, text);
    const env = { ...process.env, XDG_RUNTIME_DIR: folder, HOME: folder, LC_ALL: 'C' };
    const { error, status, stderr } = spawnSync('systemd-analyze', ['--user', 'verify', unit], {
      env,
      encoding: 'utf8',
    });
    if (error || /Failed to (initialize manager|create|connect)/.test(stderr)) {
      return t.skip(`systemd-analyze cannot be asked here: ${error?.message ?? stderr}`);
    }
    const about = stderr.split('\n').filter((line) => line.includes(UNIT));
    // These two came with systemd 254; an older one passes over them.
    const complaints = about.filter((line) => !/Unknown key (name )?'Restart(Steps|MaxDelaySec)'/.test(line));
    assert.deepEqual([status, complaints], [0, []], stderr);
  });

  test('is the lowest of all, ends by a word, and starts again only what has failed', () => {
    const [{ text }] = systemdPlan(SETTINGS).files;
    for (const line of [
      'Nice=19',
      'CPUSchedulingPolicy=idle',
      'IOSchedulingClass=idle',
      'Restart=on-failure',
      'KillMode=mixed',
    ]) {
      assert.ok(text.includes(`\n${line}\n`), line);
    }
    assert.ok(!/^MemoryDenyWriteExecute/m.test(text)); // a compiler at work would be killed
  });

  test('tells how the service stands', () => {
    const printed = [
      'ExecMainCode=0\nExecMainStatus=0\nNRestarts=3\nMainPID=77\nLoadState=loaded\nActiveState=active',
      'UnitFileState=enabled\nActiveEnterTimestamp=Sun 2026-11-29 02:27:01 UTC\n',
    ].join('\n');
    assert.deepEqual(readSystemd(printed), {
      ...{
        enabled: true,
        running: true,
        pid: 77,
        since_ms: Date.UTC(2026, 10, 29, 2, 27, 1),
        last_exit: null,
        restarts: 3,
      },
    });
    const failed =
      'ExecMainCode=1\nExecMainStatus=70\nNRestarts=0\nLoadState=loaded\nActiveState=failed\nUnitFileState=enabled\nMainPID=0\nActiveEnterTimestamp=\n';
    assert.deepEqual(readSystemd(failed), {
      ...{ enabled: true, running: false, pid: null, since_ms: null, last_exit: 'exit code 70', restarts: 0 },
    });
    assert.equal(readSystemd('ExecMainCode=2\nExecMainStatus=9').last_exit, 'signal 9');
    assert.deepEqual(readSystemd('LoadState=not-found\nActiveState=inactive').enabled, false);
  });
});

/** Words of a line as systemd.syntax(7) and systemd.unit(5) have them: quotes, C's escapes, `%%`; another `%` is a specifier. */
function wordsOf(line: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would end the line, or be refused in it
  assert.ok(!/[\0-\x1f]/.test(line) && !line.endsWith('\\'), `one line: ${JSON.stringify(line)}`);
  const words: string[] = [];
  for (let rest = line; rest !== ''; ) {
    const [whole, inside] = /^"((?:[^"\\]|\\.)*)"(?: |$)/su.exec(rest) ?? assert.fail(`no quoted word: ${rest}`);
    rest = rest.slice(whole.length);
    const unescaped = inside.replace(/\\(x[0-9a-f]{2}|.)/gsu, (_, code: string) => {
      const plain: Record<string, string> = { n: '\n', t: '\t', '\\': '\\', '"': '"' };
      if (code.startsWith('x')) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
      return plain[code] ?? assert.fail(`unknown escape ${code}`);
    });
    words.push(
      unescaped.replace(/%(.?)/gsu, (_, after) => (after === '%' ? '%' : assert.fail(`a specifier: %${after}`))),
    );
  }
  return words;
}

/** systemd.service(5): `$$` is a dollar sign, another `$` may begin a variable. */
const withoutVariables = (text: string): string =>
  text.replace(/\$(.?)/gsu, (_, after) => (after === '$' ? '$' : assert.fail(`a variable in ${text}`)));

describe('launchd', () => {
  const parsedBack = (settings: ServiceSettings) =>
    parsePlist(launchdPlan(settings).files[0].text) as Record<string, unknown>;

  test('reads the program as it was meant', () => {
    fc.assert(
      fc.property(path, path, path, (node, potluck, folder) => {
        fc.pre([node, potluck, folder].every(isXml));
        const { ProgramArguments } = parsedBack({ ...SETTINGS, node, potluck, folder });
        assert.deepEqual(ProgramArguments, [node, potluck, 'service', 'run', join(folder, 'service.json')]);
      }),
      { numRuns: 300 },
    );
  });

  test('starts it at login and after a failure, below everything else', () => {
    const { Label, RunAtLoad, KeepAlive, ProcessType, Umask } = parsedBack(SETTINGS);
    assert.deepEqual(
      [Label, RunAtLoad, KeepAlive, ProcessType],
      ['potluck.service', true, { SuccessfulExit: false }, 'Background'],
    );
    assert.equal(Umask, 0o077);
  });

  test('is read by another parser, too', (t) => {
    const script =
      'import plistlib, sys, json; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())["ProgramArguments"]))';
    const potluck = '/a & b/<c>/"d" \'e\' ü %n $x';
    const { error, stdout, stderr } = spawnSync('python3', ['-c', script], {
      input: launchdPlan({ ...SETTINGS, potluck }).files[0].text,
      encoding: 'utf8',
    });
    if (error) return t.skip('python3 is not here');
    assert.equal(JSON.parse(stdout || assert.fail(stderr))[1], potluck);
  });
});

const isXml = (text: string): boolean => {
  try {
    xmlText(text);
    return true;
  } catch {
    return false;
  }
};

describe('the Task Scheduler', () => {
  const task = (settings: ServiceSettings): Element => {
    const problems: string[] = [];
    const onError = (_level: string, message: string): void => void problems.push(message);
    const document = new DOMParser({ onError }).parseFromString(windowsPlan(settings).files[0].text, 'text/xml');
    assert.deepEqual(problems, []);
    return document.documentElement!;
  };
  const children = (of: Element): Element[] =>
    [...of.childNodes].filter((node) => node.nodeType === 1) as unknown as Element[];
  const names = (of: Element): string[] => children(of).map(({ nodeName }) => nodeName);
  const at = (of: Element, ...path_: string[]): Element =>
    path_.reduce((here, name) => children(here).find(({ nodeName }) => nodeName === name) ?? assert.fail(name), of);

  test('reads the program as it was meant, or it is refused with a sentence', () => {
    fc.assert(
      fc.property(path, path, (node, potluck) => {
        fc.pre([node, potluck].every((text) => isXml(text) && !/[\t\n\r]/.test(text)));
        const settings = { ...SETTINGS, node, potluck, folder: 'C:\\Users\\ada\\.potluck\\service' };
        if (/%[^%]+%|\$\(/.test(`${node} `) || /%[^%]+%|\$\(/.test(potluck)) {
          assert.throws(() => windowsPlan(settings), /the Task Scheduler would replace a part of/);
          return;
        }
        const line = at(task(settings), 'Actions', 'Exec', 'Arguments').textContent!;
        const [headless, ...words] = asCommandLineToArgvW(line);
        assert.equal(headless, '--headless');
        assert.deepEqual(words, [node, potluck, 'service', 'run', 'C:\\Users\\ada\\.potluck\\service\\service.json']);
      }),
      { numRuns: 300 },
    );
  });

  test('quotes backslashes as CommandLineToArgvW reads them', () => {
    for (const text of ['C:\\a b\\', 'a\\"b', '\\\\server\\share\\', '"', '\\', 'plain']) {
      assert.deepEqual(asCommandLineToArgvW(argument(text)), [text]);
    }
  });

  test('knows every element, at its place in the schema', () => {
    const root = task({ ...SETTINGS, user: { ...SETTINGS.user, name: 'HOME\\ada & co' } });
    assert.equal(root.getAttribute('version'), '1.2');
    assert.deepEqual(names(root), ['RegistrationInfo', 'Triggers', 'Principals', 'Settings', 'Actions']);
    // Where the schema has a sequence (triggers), one element cannot be out of order; elsewhere any order is right.
    assert.deepEqual(names(at(root, 'Triggers', 'LogonTrigger')), ['UserId']);
    const known = [
      ...[
        'AllowStartOnDemand',
        'RestartOnFailure',
        'MultipleInstancesPolicy',
        'DisallowStartIfOnBatteries',
        'StopIfGoingOnBatteries',
      ],
      ...[
        'AllowHardTerminate',
        'StartWhenAvailable',
        'RunOnlyIfNetworkAvailable',
        'WakeToRun',
        'Enabled',
        'Hidden',
        'IdleSettings',
      ],
      ...[
        'ExecutionTimeLimit',
        'Priority',
        'RunOnlyIfIdle',
        'DeleteExpiredTaskAfter',
        'NetworkProfileName',
        'NetworkSettings',
      ],
    ];
    for (const name of names(at(root, 'Settings'))) assert.ok(known.includes(name), name);
    assert.deepEqual(names(at(root, 'Settings', 'RestartOnFailure')), ['Interval', 'Count']);
    assert.equal(at(root, 'Principals', 'Principal', 'UserId').textContent, 'HOME\\ada & co');
    assert.equal(at(root, 'Principals', 'Principal').getAttribute('id'), at(root, 'Actions').getAttribute('Context'));
  });
});

/** The rules of CommandLineToArgvW for what follows the program: 2n backslashes and a quote are n and a quoting, 2n+1 are n and a quote. */
function asCommandLineToArgvW(line: string): string[] {
  const words: string[] = [];
  let [now, quoted, begun] = ['', false, false];
  for (let i = 0; i < line.length; i++) {
    const [slashes] = /^\\*/.exec(line.slice(i))!;
    if (slashes.length > 0) begun = true;
    i += slashes.length;
    if (line[i] === '"') {
      now += '\\'.repeat(Math.floor(slashes.length / 2));
      if (slashes.length % 2 === 1) now += '"';
      else quoted = !quoted;
      begun = true;
      continue;
    }
    now += slashes;
    if (i >= line.length) break;
    if (!quoted && /[ \t]/.test(line[i])) {
      if (begun) words.push(now);
      [now, begun] = ['', false];
    } else {
      now += line[i];
      begun = true;
    }
  }
  assert.ok(!quoted, line);
  return begun ? [...words, now] : words;
}

test('whatever is installed is undone, on every platform', () => {
  const plans: [ServicePlan, RegExp, RegExp][] = [
    [systemdPlan(SETTINGS), /enable potluck\.service/, /disable --now potluck\.service/],
    [systemdPlan({ ...SETTINGS, asks_linger: true }), /loginctl enable-linger ada/, /loginctl disable-linger ada/],
    [launchdPlan(SETTINGS), /bootstrap gui\/1000/, /bootout gui\/1000\/potluck\.service/],
    [windowsPlan(SETTINGS), /\/Create \/TN Potluck/, /\/Delete \/TN Potluck \/F/],
  ];
  for (const [{ install, stop, after_removal }, does, undoes] of plans) {
    const shown = (commands: ServicePlan['install']) => commands.map(({ words }) => words.join(' ')).join('\n');
    assert.match(shown(install), does);
    assert.match(shown([...stop, ...after_removal]), undoes);
  }
  // What somebody else has set is left alone.
  const { install, after_removal } = systemdPlan(SETTINGS);
  assert.ok(![...install, ...after_removal].some(({ words }) => words[0] === 'loginctl'));
});

test('what no XML document can hold is refused in a sentence', () => {
  assert.throws(() => xmlText('a\x01b'), /expected a path without control characters, got "a\\u0001b"/);
  assert.throws(() => xmlText('\ud800'), /without control characters/);
});

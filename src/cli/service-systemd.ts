// The service as a systemd user unit: systemd.unit(5), systemd.service(5), systemd.exec(5), quoting after systemd.syntax(7).
import { posix } from 'node:path';
import type { ServicePlan, ServiceSettings, Standing } from './service-plan.ts';

export const UNIT = 'potluck.service';
const { join } = posix;

export function systemdPlan(settings: ServiceSettings): ServicePlan {
  const { user, asks_linger } = settings;
  const folder = join(user.home, '.config', 'systemd', 'user');
  const systemctl = (...words: string[]) => ({ words: ['systemctl', '--user', ...words] });
  const linger = (verb: string, may_fail: string) =>
    asks_linger ? [{ words: ['loginctl', verb, user.name], may_fail }] : [];
  const shown =
    'LoadState,ActiveState,UnitFileState,ActiveEnterTimestamp,MainPID,ExecMainCode,ExecMainStatus,NRestarts';
  return {
    files: [{ path: join(folder, UNIT), text: unitText(settings) }],
    made: [join(folder, 'default.target.wants', UNIT)],
    install: [
      systemctl('daemon-reload'),
      systemctl('enable', UNIT),
      systemctl('restart', UNIT),
      ...linger(
        'enable-linger',
        `it starts when you log in, not with the machine; for that an administrator says: loginctl enable-linger ${user.name}`,
      ),
    ],
    stop: [{ ...systemctl('disable', '--now', UNIT), may_fail: 'systemd does not know it, or has stopped it already' }],
    after_removal: [
      { ...systemctl('daemon-reload'), may_fail: 'systemd is not there to forget it' },
      { ...systemctl('reset-failed', UNIT), may_fail: '' },
      ...linger('disable-linger', 'your other services go on when you log out; nothing else follows'),
    ],
    logs: (lines) => ({
      words: ['journalctl', '--user', '--unit', UNIT, '--lines', String(lines), '--no-pager', '--output', 'short-iso'],
    }),
    status: systemctl('show', UNIT, '--property', shown),
  };
}

function unitText({ node, potluck, words, home }: ServiceSettings): string {
  // The path itself is not searched for variables, its arguments are.
  const command = [quoted(node), ...[potluck, ...words].map((word) => quoted(word).replaceAll('$', '$$$$'))].join(' ');
  return `# Written by "potluck service install"; "potluck service remove" removes it. Your own changes belong into "systemctl --user edit ${UNIT}".
[Unit]
Description=Potluck lends this device, within the rules of "potluck device"
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${command}
Environment=${quoted(`POTLUCK_HOME=${home}`)}
# It hands in what is done and says goodbye; then whatever is left of it is ended.
KillMode=mixed
TimeoutStopSec=60
# After a failure: in 10 s, then more and more slowly up to ten minutes (where systemd is older than 254: each time in 10 s). Wrong words stay wrong.
Restart=on-failure
RestartSec=10
RestartSteps=6
RestartMaxDelaySec=600
RestartPreventExitStatus=2
# Whatever else this machine does comes first.
Nice=19
CPUSchedulingPolicy=idle
IOSchedulingClass=idle
OOMScoreAdjust=500
# What computes needs memory that it writes and then runs, so that MemoryDenyWriteExecute is not here; nor is what needs a namespace of its
# own, which not every kernel lets a user have.
NoNewPrivileges=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
UMask=0077

[Install]
WantedBy=default.target
`;
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '%': '%%', '\n': '\\n', '\t': '\\t' };

/** A word in double quotes: C's escapes inside, and `%` would begin a specifier. */
export function quoted(word: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they end a line of the file, or are refused in it
  const escaped = word.replace(/[\\"%\0-\x1f\x7f]/g, (found) => {
    return ESCAPES[found] ?? `\\x${found.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return `"${escaped}"`;
}

/** What `systemctl show` prints, with times in UTC. */
export function readSystemd(printed: string): Standing {
  const of = new Map(printed.split('\n').map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]));
  const time = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC/.exec(of.get('ActiveEnterTimestamp') ?? '');
  const running = ['active', 'activating', 'reloading'].includes(of.get('ActiveState') ?? '');
  return {
    enabled: of.get('LoadState') === 'loaded' && of.get('UnitFileState') === 'enabled',
    running,
    pid: Number(of.get('MainPID') ?? 0) || null,
    since_ms: time && running ? Date.parse(`${time[1]}T${time[2]}Z`) : null,
    last_exit: exitWords(of.get('ExecMainCode') ?? '0', of.get('ExecMainStatus') ?? '0'),
    restarts: Number(of.get('NRestarts') ?? 0),
  };
}

/** The codes of waitid(2). */
function exitWords(code: string, status: string): string | null {
  if (code === '1') return `exit code ${status}`;
  return code === '2' || code === '3' ? `signal ${status}` : null;
}

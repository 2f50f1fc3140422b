// Which runs a `potluck join` is to work for: one, any that is open, or several with shares of the time; from the command line or what is set.
import type { DeviceSettings } from '../peer/owner-policy/settings.ts';
import { CliError } from './output.ts';

/** One run that is wanted, or any of a hub. */
export interface RunWish {
  readonly url: string;
  /** Its name or the beginning of its id; null: any that is open; undefined: the only one that goes on. */
  readonly run: string | null | undefined;
  readonly share: number;
}

/** What the command line says of runs. */
export interface RunFlags {
  run: string[];
  anyRun: boolean;
}

/** What a device is asked to work for. Throws CliError bad-argument. */
export function wishesOf(url: string | undefined, { run, anyRun }: RunFlags, set: DeviceSettings['runs']): RunWish[] {
  if (url === undefined) {
    if (run.length > 0 || anyRun) throw wrong('expected the address of the hub whose runs are meant');
    if (set === null) throw wrong('expected the address of a hub, or runs that are set by "potluck device set runs"');
    return set.map(({ hub, run: wanted, share }) => ({ url: hub, run: wanted, share }));
  }
  if (anyRun && run.length > 0) throw wrong('--run and --any-run contradict each other');
  if (run.length < 2) return [{ url, run: anyRun ? null : run[0], share: 1 }];
  const parts = run.map((words) => /^(.+)=(\d{1,3}(?:\.\d+)?)$/.exec(words));
  if (parts.every((part) => part === null)) return run.map((wanted) => ({ url, run: wanted, share: 1 }));
  return parts.map((part, i) => {
    const share = Number(part?.[2] ?? 0);
    if (part && share >= 1 && share <= 100) return { url, run: part[1], share };
    throw wrong(`expected a share of 1 to 100 for each of several runs, such as --run poems=70, got "${run[i]}"`);
  });
}

const wrong = (message: string): CliError => new CliError('bad-argument', message);

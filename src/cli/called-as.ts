// How a person can call potluck here: `npx potluck` is this program only inside its checkout; elsewhere npm would fetch a stranger's.
import { realpathSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

const inside = (folder: string, path: string): boolean =>
  !/^\.\.([/\\]|$)|^([a-z]:)?[/\\]/i.test(relative(folder, path));

/** The words to write before a command's name in a terminal that is in `cwd`, for a process that was started as `script`. */
export function potluckHere(cwd = process.cwd(), script = process.argv[1] ?? ''): string {
  if (inside(ROOT, cwd)) return 'npx potluck';
  const installed = basename(script, '.cmd') === 'potluck' && basename(dirname(script)) === 'bin';
  return installed ? 'potluck' : `node ${relative(cwd, join(realpathSync(ROOT), 'bin', 'potluck.js'))}`;
}

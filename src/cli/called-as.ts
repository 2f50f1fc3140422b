// How a person can call potluck here: `npx potluck` is this program only in its checkout or where it is installed; elsewhere npm would fetch a stranger's.
import { realpathSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

const inside = (folder: string, path: string): boolean =>
  !/^\.\.([/\\]|$)|^([a-z]:)?[/\\]/i.test(relative(folder, path));

/** What to type before a command's name in a terminal at `cwd`, for a process that was started as `script`. */
export function potluckHere(cwd = process.cwd(), script = process.argv[1] ?? '', root = ROOT): string {
  const installed_into = basename(dirname(root)) === 'node_modules' ? dirname(dirname(root)) : root;
  if (inside(installed_into, cwd)) return 'npx potluck';
  const installed = basename(script, '.cmd') === 'potluck' && basename(dirname(script)) === 'bin';
  return installed ? 'potluck' : `node ${relative(cwd, join(realpathSync(root), 'bin', 'potluck.js'))}`;
}

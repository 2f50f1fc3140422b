// Plants a fault in the source: replaces one piece of text of one file while it is loaded. The files on the disk do not change.
import { readFileSync } from 'node:fs';
import { type ResolveHookSync, registerHooks, stripTypeScriptTypes } from 'node:module';
import { join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SimulationError } from './errors.ts';

/** A fault of one piece of text, which its file must hold exactly once. */
export interface SourceFault {
  readonly name: string;
  /** Under src/, with slashes. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const SRC = join(import.meta.dirname, '..');
/** The URL of a module that is loaded with a fault contains the fault's name, and so do the URLs of all modules under src/ that it imports. */
const MARK = 'planted';

const faults = new Map<string, SourceFault>();
let hooked = false;

const markIn = (address: string | undefined): string | null =>
  address?.includes(`?${MARK}=`) ? new URL(address).searchParams.get(MARK) : null;

const fileOf = (address: string): string => relative(SRC, fileURLToPath(address)).split(sep).join('/');

/** The source with the fault in it. Throws SimulationError `bad-fault` unless the source contains the text exactly once. */
export function withFault({ name, file, find, replace }: SourceFault, source: string): string {
  const times = source.split(find).length - 1;
  if (times === 1) return source.replace(find, () => replace);
  const message = `planted fault "${name}": ${file} has its text ${times} times, expected once; mend its entry: ${find}`;
  throw new SimulationError('bad-fault', message);
}

/** Where modules without a fault are, by the module that names them and the name; the same for every fault. */
const resolutions = new Map<string, ReturnType<Parameters<ResolveHookSync>[2]>>();
/** The JavaScript of files without a fault: to strip types takes longer than to compile what is left. */
const stripped = new Map<string, string>();

function strippedFile(path: string): string {
  const known = stripped.get(path) ?? stripTypeScriptTypes(readFileSync(path, 'utf8'));
  stripped.set(path, known);
  return known;
}

function hook(): void {
  if (hooked) return;
  hooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      const name = markIn(context.parentURL);
      if (name === null) return next(specifier, context);
      const key = `${fileOf(context.parentURL!)} ${specifier}`;
      const resolved = { ...(resolutions.get(key) ?? next(specifier, context)), shortCircuit: true };
      resolutions.set(key, resolved);
      if (!resolved.url.startsWith('file:') || fileOf(resolved.url).startsWith('..')) return resolved;
      return { ...resolved, url: `${resolved.url}?${MARK}=${name}` };
    },
    load(address, context, next) {
      const fault = faults.get(markIn(address) ?? '');
      if (!fault || !new URL(address).pathname.endsWith('.ts')) return next(address, context);
      const path = fileURLToPath(address);
      const source =
        fileOf(address) === fault.file
          ? stripTypeScriptTypes(withFault(fault, readFileSync(path, 'utf8')))
          : strippedFile(path);
      return { format: 'module', source, shortCircuit: true };
    },
  });
}

/** Puts a fault into everything that this process loads from now on. */
export function plantHere(fault: SourceFault): void {
  registerHooks({
    load(address, context, next) {
      const loaded = next(address, context);
      if (!address.startsWith('file:') || fileOf(address) !== fault.file || !loaded.source) return loaded;
      return { ...loaded, source: withFault(fault, new TextDecoder().decode(loaded.source as Uint8Array)) };
    },
  });
}

/** Loads a module of src/ anew, with everything that it imports, the fault in it. */
export async function importWith<Module>(fault: SourceFault, file: string): Promise<Module> {
  hook();
  faults.set(fault.name, fault);
  return import(`${pathToFileURL(join(SRC, file)).href}?${MARK}=${fault.name}`);
}

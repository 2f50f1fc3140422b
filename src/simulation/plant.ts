// Plants a fault in the source: replaces one piece of text of one file while it is loaded. The files on the disk do not change.
import { registerHooks } from 'node:module';
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

function hook(): void {
  if (hooked) return;
  hooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      const name = markIn(context.parentURL);
      if (name === null || !resolved.url.startsWith('file:') || fileOf(resolved.url).startsWith('..')) return resolved;
      return { ...resolved, url: `${resolved.url}?${MARK}=${name}` };
    },
    load(address, context, next) {
      const loaded = next(address, context);
      const fault = faults.get(markIn(address) ?? '');
      if (!fault || fileOf(address) !== fault.file || !loaded.source) return loaded;
      return { ...loaded, source: withFault(fault, new TextDecoder().decode(loaded.source as Uint8Array)) };
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

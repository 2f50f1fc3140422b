// Plants a fault in the source: replaces one piece of text of one file while it is loaded. The files on the disk do not change.
import { globSync, readFileSync } from 'node:fs';
import { type ResolveHookSync, registerHooks, stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
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
/** The URL of a module that is loaded with a fault contains the fault's name, and so do those of all modules under src/ that import it. */
const MARK = 'planted';

const faults = new Map<string, SourceFault>();
/** By fault: its file, and those that import it, directly or not. All others are loaded once for all faults. */
const touched = new Map<string, ReadonlySet<string>>();
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

const importers = new Map<string, string[]>();

/** Notes who imports whom under src/, also where only a branch does; what is left out when types are stripped does not count. */
function readImports(): void {
  const imported = /(?:(import type|export type)[^;']*?from|from|import)\s*\(?\s*'(#[^']+|\.{1,2}\/[^']+)'/g;
  const named: Record<string, { readonly default: string }> = JSON.parse(
    readFileSync(join(SRC, '..', 'package.json'), 'utf8'),
  ).imports;
  for (const path of globSync('**/*.{ts,tsx}', { cwd: SRC })) {
    for (const [, type, specifier] of readFileSync(join(SRC, path), 'utf8').matchAll(imported)) {
      if (type) continue;
      const target = join(
        SRC,
        specifier.startsWith('#') ? join('..', named[specifier].default) : join(dirname(path), specifier),
      );
      const file = relative(SRC, target).split(sep).join('/');
      importers.set(file, [...(importers.get(file) ?? []), path.split(sep).join('/')]);
    }
  }
}

function withImporters(file: string): ReadonlySet<string> {
  if (importers.size === 0) readImports();
  const found = new Set([file]);
  for (const one of found) for (const importer of importers.get(one) ?? []) found.add(importer);
  return found;
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
      if (!resolved.url.startsWith('file:') || !touched.get(name)!.has(fileOf(resolved.url))) return resolved;
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

/** Loads a module of src/ anew, with everything that it imports and the fault is in; it must be among what imports the fault's file. */
export async function importWith<Module>(fault: SourceFault, file: string): Promise<Module> {
  hook();
  faults.set(fault.name, fault);
  touched.set(fault.name, withImporters(fault.file));
  return import(`${pathToFileURL(join(SRC, file)).href}?${MARK}=${fault.name}`);
}

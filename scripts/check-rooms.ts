// Enforces the house's two rules: a room imports only from itself and from rooms below it (DESIGN.md, "The house"), and no file
// imports itself by way of others, not even for a type: what two files share stands below both. In core/ types alone may, since nothing is left
// of them when it runs: an event's file says what becomes of the state, and the state holds events.
// What package.json names (#name) counts as the file that Node gets; a browser would not get its own by any other name.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

const SRC = join(import.meta.dirname, '..', 'src');

/** Storeys from the ground up. Rooms on one storey do not import each other. `errors.ts` is the ground everybody stands on. */
const STOREYS: readonly (readonly string[])[] = [
  ['tensor', 'protocol'],
  ['model', 'ledger'],
  ['training', 'core'],
  ['games'],
  ['audit', 'serving'],
  ['hub', 'peer'],
  ['owner'],
  ['simulation'],
  ['cli', 'web'],
  ['bench'],
];

const { imports }: { imports: Record<string, { browser: string; default: string }> } = JSON.parse(
  readFileSync(join(SRC, '..', 'package.json'), 'utf8'),
);
const underSrc = (path: string): string => relative(SRC, join(SRC, '..', path));
const named = new Map(Object.entries(imports).map(([name, { default: file }]) => [name, underSrc(file)]));
const twins = new Map(Object.values(imports).map(({ browser, default: file }) => [underSrc(file), underSrc(browser)]));

const storeyOf = new Map(STOREYS.flatMap((rooms, storey) => rooms.map((room) => [room, storey] as const)));
const problems: string[] = [];
/** What each file imports; of core/ without types alone. */
const importsOf = new Map<string, string[]>();

for (const file of globSync('**/*.{ts,tsx}', { cwd: SRC })) {
  const room = file.split(sep)[0];
  if (file === 'errors.ts' || file === 'errors.test.ts') continue;
  const storey = storeyOf.get(room);
  if (storey === undefined) {
    problems.push(`${file}: "${room}" is not a room of the house`);
    continue;
  }
  const targets: string[] = [];
  importsOf.set(file, targets);
  const source = readFileSync(join(SRC, file), 'utf8');
  const imported = /(?:(import type|export type)[^;']*?from|from|import)\s*\(?\s*'(#[^']+|\.{1,2}\/[^']+)'/g;
  for (const [, type, specifier] of source.matchAll(imported)) {
    const target = named.get(specifier) ?? relative(SRC, join(SRC, dirname(file), specifier));
    if (!type || room !== 'core') targets.push(target);
    if (twins.has(target) && twins.get(target) !== file && !named.has(specifier)) {
      problems.push(`${file} imports ${target}: by its name in package.json, or browsers get Node's`);
    }
    const targetRoom = target.split(sep)[0];
    if (target === 'errors.ts' || targetRoom === room || targetRoom === '..') continue;
    const targetStorey = storeyOf.get(targetRoom);
    if (targetStorey === undefined || targetStorey >= storey) {
      problems.push(`${file} imports ${target}: ${room}/ may import only from rooms below it`);
    }
  }
}

/** Files from which no circle can be reached. */
const clear = new Set<string>();

function lookForCircles(file: string, way: readonly string[]): void {
  if (clear.has(file)) return;
  if (way.includes(file)) {
    problems.push(`a circle of imports: ${[...way.slice(way.indexOf(file)), file].join(' → ')}`);
    return;
  }
  for (const target of importsOf.get(file) ?? []) lookForCircles(target, [...way, file]);
  clear.add(file);
}
for (const file of importsOf.keys()) lookForCircles(file, []);

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}

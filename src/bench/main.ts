// `npm run bench NAME [-- OPTIONS]`: finds the bench by its name and runs it. The file of a bench is src/bench/NAME.ts (see bench.ts).
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CodedError } from '../errors.ts';
import { runBench } from './bench.ts';
import { BenchError } from './errors.ts';

/** Every bench by name, with what the first line of its file says. Imports none of them. */
function findBenches(): Map<string, string> {
  const benches = new Map<string, string>();
  for (const file of readdirSync(import.meta.dirname).sort()) {
    if (!/^[a-z-]+\.ts$/.test(file)) continue;
    const source = readFileSync(join(import.meta.dirname, file), 'utf8');
    if (!/^export async function run\(/m.test(source)) continue;
    benches.set(file.slice(0, -'.ts'.length), source.split('\n', 1)[0].replace(/^\/\/ /, ''));
  }
  return benches;
}

function help(benches: ReadonlyMap<string, string>): string {
  const width = Math.max(...[...benches.keys()].map((name) => name.length));
  const lines = [...benches].map(([name, about]) => `  ${name.padEnd(width)}  ${about}`);
  return `npm run bench NAME [-- OPTIONS]   (each bench: -- --help)\n\n${lines.join('\n')}`;
}

async function main(args: string[]): Promise<void> {
  const [name, ...rest] = args;
  const benches = findBenches();
  if (name === undefined || name === '--help' || name === '-h') {
    console.log(help(benches));
    return;
  }
  if (!benches.has(name)) {
    throw new BenchError('usage', `there is no bench "${name}"; there are: ${[...benches.keys()].join(', ')}`);
  }
  await runBench(name, await import(pathToFileURL(join(import.meta.dirname, `${name}.ts`)).href), rest);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // An error of ours becomes one clear line; any other error is a bug, and its stack shows where.
  console.error(error instanceof CodedError ? `bench: ${error.message}` : error);
  process.exitCode = error instanceof BenchError && error.code === 'usage' ? 2 : 1;
}

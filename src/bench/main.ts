// `npm run bench NAME [-- OPTIONS]`: finds the bench by its name and runs it. A bench is src/bench/NAME.ts with an exported `run`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CodedError } from '../errors.ts';
import { BenchError } from './errors.ts';

/** What the file of a bench exports. */
interface Bench {
  /** Measures and prints; throws a BenchError `usage` for options it does not know. */
  run(args: string[]): Promise<void>;
}

/** Every bench by name, with what the first line of its file says. Nothing is imported: the files are only looked at. */
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
  const bench: Bench = await import(pathToFileURL(join(import.meta.dirname, `${name}.ts`)).href);
  await bench.run(rest);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // What was raised on purpose is one clear line; anything else is a mistake of ours and shows where.
  console.error(error instanceof CodedError ? `bench: ${error.message}` : error);
  process.exitCode = error instanceof BenchError && error.code === 'usage' ? 2 : 1;
}

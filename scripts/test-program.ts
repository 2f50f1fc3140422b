// Tests and the `potluck` program in bundles of fewer files: hundreds of files take a process longer to load than most tests take.
import { globSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'rolldown';

const ROOT = join(import.meta.dirname, '..');
/** What is started, the command and the process that runs many commands of a test; and what games' files import, whose classes must be the program's. */
const PROGRAM = ['src/cli/main.ts', 'test/commands-process.ts', 'src/games/entry.ts', 'src/bench/main.ts'];
/** Packages that are loaded by nearly every process; the others lie where they lie. */
const WITHIN =
  /^(zod|@noble|@scure|hono|@hono|cbor-x|ws|prom-client|@opentelemetry|tdigest|bintrees|@ipld|cborg|multiformats|commander)(\/|$)/;
/** What starts a thread or a process of another file of ours. */
const THREAD = /new URL\('(\.\/[\w-]+\.ts)', import\.meta\.url\)/g;
/**
 * Tests that load parts of the sources by their paths, or games' files that do, and compare what comes with classes of their own; and that of the
 * package, which people start without anything of this.
 */
const FROM_SOURCES = [
  'src/games/host/host.test.ts',
  'src/simulation/play.test.ts',
  'src/simulation/validate.test.ts',
  'test/planted-faults.test.ts',
  'test/package.test.ts',
];

/** Code finds files by where it lies, and must find the same ones from elsewhere. */
function inPlace(folder: string): Plugin {
  return {
    name: 'potluck-in-place',
    transform(code, id) {
      if (id.includes('node_modules') || !id.startsWith(ROOT) || !code.includes('import.meta')) return null;
      return code
        .replaceAll(THREAD, (_, file: string) => {
          const path = join(dirname(id), file);
          const fileName = `${nameOf(relative(ROOT, path))}.js`;
          this.emitFile({ type: 'chunk', id: path, fileName });
          return `new URL(${JSON.stringify(pathToFileURL(join(folder, fileName)).href)})`;
        })
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(id)))
        .replaceAll('import.meta.filename', JSON.stringify(id))
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href));
    },
  };
}

const nameOf = (file: string): string => file.replaceAll(/[^\w.]/g, '-').replace(/\.ts$/, '');

/** What a bundle is made of: the program, every bench, every test. */
function entries(): string[] {
  const benches = globSync('src/bench/*.ts', { cwd: ROOT }).filter((file) =>
    /^export async function run\(/m.test(readFileSync(join(ROOT, file), 'utf8')),
  );
  const tests = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: ROOT });
  const all = [...PROGRAM, ...benches, ...tests].map((file) => file.replaceAll('\\', '/'));
  return [...new Set(all)].filter((file) => !FROM_SOURCES.includes(file));
}

/**
 * Bundles tests and program into `folder`, which is in no node_modules: games' files find `potluck/game` by who loads them. One bundle, so that
 * a process that has both has each class once.
 * @returns what Node is started with so that it takes the bundle wherever it would load the sources: a flag that processes inherit by NODE_OPTIONS
 */
export async function bundleProgram(folder: string): Promise<string> {
  rmSync(folder, { recursive: true, force: true });
  const all = entries();
  await build({
    ...{ cwd: ROOT, platform: 'node', plugins: [inPlace(folder)], logLevel: 'warn' },
    // What has a question mark only Vite can load; a test has its own in place of it.
    external: (id) => id.includes('?') || (/^[a-z@]/.test(id) && !WITHIN.test(id)),
    input: Object.fromEntries(all.map((file) => [nameOf(file), join(ROOT, file)])),
    output: { dir: folder, entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' },
  });
  const made = new Set(readdirSync(folder));
  const places = all.map((file) => {
    const name = `${nameOf(file)}.js`;
    if (!made.has(name)) throw new Error(`the bundle has no ${name}`);
    return [pathToFileURL(join(ROOT, file)).href, pathToFileURL(join(folder, name)).href];
  });
  const hook = join(folder, 'hook.mjs');
  writeFileSync(hook, hookOf(folder, places, FROM_SOURCES));
  return `--import=${pathToFileURL(hook).href}`;
}

/** Tells threads and processes of a test that needs the sources. */
const SOURCES = 'POTLUCK_FROM_SOURCES';

/** What Node loads first, in threads too, some of which run games' files: it gives what is bundled in place of the sources, but not to a test that needs them. */
function hookOf(folder: string, places: readonly string[][], sources: readonly string[]): string {
  return `import { registerHooks } from 'node:module';
const folder = ${JSON.stringify(`${pathToFileURL(folder).href}/`)};
const bundled = new Map(${JSON.stringify(places)});
if (${JSON.stringify(sources.map((file) => join(ROOT, file)))}.includes(process.argv[1])) process.env.${SOURCES} = 'yes';
if (!process.env.${SOURCES}) registerHooks({
  resolve(specifier, context, next) {
    // Node looks for each of some hundred files, and for the package that it is of.
    if (specifier.startsWith('node:')) return { url: specifier, format: 'builtin', shortCircuit: true };
    if (specifier.startsWith('./') && context.parentURL?.startsWith(folder)) {
      return { url: folder + specifier.slice(2), format: 'module', shortCircuit: true };
    }
    const found = next(specifier, context);
    const url = bundled.get(found.url);
    return url === undefined ? found : { url, format: 'module', shortCircuit: true };
  },
});
`;
}

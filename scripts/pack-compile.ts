// The sources as JavaScript and declarations, file by file in the folders that they have under src/ (docs/decisions/0023).
import { execFileSync } from 'node:child_process';
import { globSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build, type OutputChunk, type Plugin } from 'rolldown';

const ROOT = join(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');

/** What bundlers look for in code that starts a thread. */
const THREAD = /new URL\('(\.\/[\w-]+)\.ts', import\.meta\.url\)/g;
/** Whoever has compiled code would find the packages in it under a name that npm leaves out of archives. */
const VENDOR = 'vendor';

/** A thread's file is one more to begin with, and is called .js there. */
const threads: Plugin = {
  name: 'potluck-threads',
  transform(code, id) {
    if (!id.startsWith(SRC)) return null;
    return code.replaceAll(THREAD, (_, file: string) => {
      this.emitFile({ type: 'chunk', id: join(dirname(id), `${file}.ts`) });
      return `new URL('${file}.js', import.meta.url)`;
    });
  },
};

/**
 * Compiles what the files in `entries` (under src/) need into `folder`, packages included but for `external` ones. Returns the folders of the
 * packages that are in it.
 */
export async function compile(
  folder: string,
  entries: readonly string[],
  external: readonly RegExp[],
): Promise<Set<string>> {
  const { output } = await build({
    cwd: ROOT,
    input: Object.fromEntries(entries.map((file) => [file.replace(/\.ts$/, ''), join(SRC, file)])),
    platform: 'node',
    external: [...external],
    plugins: [threads],
    logLevel: 'warn',
    output: {
      dir: folder,
      preserveModules: true, // the code finds files by where it lies, and an error names the file that it comes from
      preserveModulesRoot: SRC,
      entryFileNames: ({ name }) => `${name.replaceAll('node_modules', VENDOR).replace(/\.(ts|[cm]?js)$/, '')}.js`,
    },
  });
  const modules = output.filter((file): file is OutputChunk => file.type === 'chunk').flatMap((file) => file.moduleIds);
  const packages = modules.map((id) => /^.*[/\\]node_modules[/\\](?:@[^/\\]+[/\\])?[^/\\]+/.exec(id)?.[0]);
  return new Set(packages.filter((path) => path !== undefined));
}

/** Writes the declarations that the files in `entries` need into `folder`; the compiler writes also those of what they only compute with. */
export function declare(folder: string, entries: readonly string[]): void {
  const config = join(dirname(folder), 'tsconfig.json');
  const compilerOptions = {
    ...{ noEmit: false, incremental: false, tsBuildInfoFile: null },
    ...{ declaration: true, emitDeclarationOnly: true, outDir: folder, rootDir: SRC },
    typeRoots: [join(ROOT, 'node_modules', '@types')],
  };
  const files = entries.map((file) => join(SRC, file));
  writeFileSync(config, JSON.stringify({ extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: [], files }));
  execFileSync(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', config], {
    stdio: 'inherit',
  });
  rmSync(config);
  const needed = reachable(entries.map((file) => join(folder, file.replace(/\.ts$/, '.d.ts'))));
  for (const file of globSync('**/*.d.ts', { cwd: folder })) {
    if (!needed.has(join(folder, file))) rmSync(join(folder, file));
  }
}

/** Names of files in a declaration: of its imports, and of types that it writes out. */
const NAMED = /(?:from |import\()['"](\.[^'"]+)\.ts['"]/g;

/** These declarations, and all that they name. */
function reachable(from: readonly string[]): Set<string> {
  const found = new Set<string>();
  const waiting = [...from];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file)) continue;
    found.add(file);
    for (const [, name] of readFileSync(file, 'utf8').matchAll(NAMED))
      waiting.push(`${join(dirname(file), name)}.d.ts`);
  }
  return found;
}

/** The licences of packages whose code is in the compiled files, as most of them ask for. */
export function licencesOf(packages: Iterable<string>): string {
  const texts = [...packages].sort().map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
    const file = readdirSync(path).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? readFileSync(join(path, file), 'utf8').trim() : 'Its package has no file with the text.';
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return `Parts of these packages are in the files beside this one.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`;
}

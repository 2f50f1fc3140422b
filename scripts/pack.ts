// `npm run pack`: the package as people install it, in one archive with everything in it, into dist/ (docs/decisions/0023).
// `npm run pack -- darwin-arm64`: with another platform's kernels.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isPageStale, PAGE_FOLDER } from '../src/cli/page.ts';
import { defaultCorpus, PACKED } from '../src/training/corpus-default.ts';
import { bundle, OUTSIDE } from './pack-bundled.ts';
import { compile, declare, licencesOf } from './pack-compile.ts';

const ROOT = join(import.meta.dirname, '..');

/** What package.json says, where it matters here. */
interface Manifest {
  readonly exports: Readonly<Record<string, string>>;
  readonly imports: Readonly<Record<string, { readonly default: string }>>;
  readonly [field: string]: unknown;
}

/** Makes the package for a platform in `folder`: compiled files, the page, and whatever either needs. */
export async function makePackage(folder: string, platform = `${process.platform}-${process.arch}`): Promise<void> {
  const dist = join(folder, 'dist');
  const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const entries = Object.values(manifest.exports).map((file) => file.replace('./src/', ''));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  for (const name of ['bin', 'LICENSE', 'README.md']) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  if (isPageStale()) execFileSync(process.execPath, [join(ROOT, 'src', 'web', 'build.ts')], { stdio: 'inherit' });
  cpSync(PAGE_FOLDER, join(dist, 'web'), { recursive: true });
  const inside = await compile(dist, ['cli/main.ts', ...entries], OUTSIDE);
  writeFileSync(join(dist, 'LICENCES.txt'), licencesOf(inside));
  // Declarations name some files as the package's manifest does.
  declare(dist, [...entries, ...Object.values(manifest.imports).map((file) => file.default.replace('./src/', ''))]);
  const texts: string[] = [];
  for await (const text of defaultCorpus()) texts.push(text);
  writeFileSync(join(dist, 'training', PACKED), gzipSync(JSON.stringify(texts)));
  const packed = packedManifest(manifest, bundle(folder, platform));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(packed, null, 2)}\n`);
}

/** The checkout's package.json asks for what builds and tests it, and names sources; the package's for nothing that is not in it. */
function packedManifest(manifest: Manifest, dependencies: Readonly<Record<string, string>>): Record<string, unknown> {
  const { name, version, description, license, type, bin } = manifest;
  const compiled = (file: string): { types: string; default: string } => {
    const at = file.replace('./src/', './dist/').replace(/\.ts$/, '');
    return { types: `${at}.d.ts`, default: `${at}.js` };
  };
  const compiledAll = (files: readonly (readonly [name: string, file: string])[]): Record<string, unknown> =>
    Object.fromEntries(files.map(([name, file]) => [name, compiled(file)]));
  return {
    ...{ name, version, description, license, type, bin },
    private: true, // nobody publishes it by mistake: the name on the registry is not ours
    engines: { node: '>=24' },
    exports: compiledAll(Object.entries(manifest.exports)),
    // Declarations name these; the compiled files have paths.
    imports: compiledAll(Object.entries(manifest.imports).map(([name, file]) => [name, file.default])),
    dependencies,
    bundleDependencies: Object.keys(dependencies),
  };
}

/** One archive of a package's folder, written into another. */
export function archive(folder: string, into: string): void {
  execFileSync('npm', ['pack', folder, '--pack-destination', into, '--loglevel=error'], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
}

if (import.meta.main) {
  const into = join(ROOT, 'dist');
  const folder = join(into, 'package');
  await makePackage(folder, process.argv[2]);
  archive(folder, into);
}

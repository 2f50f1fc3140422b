// Packages that lie beside the compiled files instead of in them: those with binaries, loaded when asked for, or named in declarations.
// Each is copied as it is, without what no peer on the platform needs, and without scripts: one of them would download GPU libraries.
import { cpSync, globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const WASM = 'ort-wasm-simd-threaded';

interface Bundled {
  readonly name: string;
  /** Files to take, by their paths in the package with slashes; all where it is missing. */
  readonly takes?: (file: string, platform: string) => boolean;
}

const BUNDLED: readonly Bundled[] = [
  // Nothing here, and no game's file, speaks its older or its smaller dialect.
  { name: 'zod', takes: (file) => !/^(src|v3|mini|v4-mini|v4\/mini)\/|^README|\.c[jt]s$/.test(file) },
  // Their sources lie beside what is compiled of them, for debuggers; no type of theirs is in what a game's file imports.
  { name: '@noble/curves', takes: (file) => !/^src\/|\.(map|d\.ts)$/.test(file) },
  { name: '@noble/hashes', takes: (file) => !/^src\/|\.(map|d\.ts)$/.test(file) },
  { name: 'onnxruntime-common', takes: (file) => !/^lib\/|\.(map|d\.ts)$/.test(file) },
  {
    name: 'onnxruntime-node',
    takes: (file, platform) =>
      !/^(bin|lib|script)\/|^README|\.(d\.ts|map)$/.test(file) || file.includes(`/${platform.replace('-', '/')}/`),
  },
  { name: 'onnxruntime-web', takes: (file) => [`dist/ort.node.min.mjs`, `dist/${WASM}.mjs`].includes(file) },
  {
    name: '@jitl/quickjs-wasmfile-release-sync',
    takes: (file) => /^(LICENSE|dist\/(index|ffi|emscripten-module)\.mjs|.*\.wasm)$/.test(file),
  },
  {
    name: 'sodium-native',
    // `.bare` is for another runtime than Node.
    takes: (file, platform) =>
      !file.startsWith('prebuilds/') || (file.startsWith(`prebuilds/${platform}/`) && !file.endsWith('.bare')),
  },
  // What sodium-native finds its binary with.
  ...['require-addon', 'bare-addon-resolve', 'bare-module-resolve', 'bare-semver', 'which-runtime'].map((name) => ({
    name,
    takes: (file: string) => !/^README|\.d\.ts$/.test(file),
  })),
];

/** A binary that cbor-x is a little faster with where it finds it; here it does without. */
const MISSING = 'cbor-extract';

/** What the compiled files ask for instead of having it in them. */
export const OUTSIDE = [...BUNDLED.map(({ name }) => name), MISSING].map((name) => new RegExp(`^${name}(/|$)`));

/** Copies the packages for a platform (`linux-x64`) into `folder`/node_modules. Returns their names and versions. */
export function bundle(folder: string, platform: string): Record<string, string> {
  const versions: Record<string, string> = {};
  for (const { name, takes } of BUNDLED) {
    const from = join(ROOT, 'node_modules', name);
    const to = join(folder, 'node_modules', name);
    cpSync(from, to, {
      recursive: true,
      filter(path) {
        const file = relative(from, path).split(sep).join('/');
        return takes === undefined || statSync(path).isDirectory() || file === 'package.json' || takes(file, platform);
      },
    });
    const { scripts, dependencies, devDependencies, ...manifest } = JSON.parse(
      readFileSync(join(from, 'package.json'), 'utf8'),
    );
    if (name === 'onnxruntime-web') manifest.exports = { '.': `./${wasmOfThePage(folder, to)}` };
    writeFileSync(join(to, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    versions[name] = manifest.version;
  }
  return versions;
}

/** The page's kernels serve Node, too, so that they lie there once. Writes the module that says so, and returns its name. */
function wasmOfThePage(folder: string, onnxruntime_web: string): string {
  const [wasm] = globSync(`dist/web/assets/${WASM}-*.wasm`, { cwd: folder });
  if (!wasm) throw new Error(`expected the page in ${folder}/dist/web, with ${WASM}-HASH.wasm among its assets`);
  const file = 'node.mjs';
  const place = relative(dirname(join(onnxruntime_web, file)), join(folder, wasm))
    .split(sep)
    .join('/');
  writeFileSync(
    join(onnxruntime_web, file),
    `import { env } from './dist/ort.node.min.mjs';
export * from './dist/ort.node.min.mjs';
env.wasm.wasmPaths = { wasm: new URL('${place}', import.meta.url).href };
`,
  );
  return file;
}

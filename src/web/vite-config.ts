// How the page is built: src/web into a folder of files with hashed names, each with a gzipped twin.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { InlineConfig, Plugin } from 'vite';
import { offline } from './offline/offline-files.ts';

const WEB = import.meta.dirname;
/** For a smaller file a gzipped twin saves no packet. */
const WORTH_PACKING_BYTES = 1024;

/** Without the report on how the bundler spent its time. */
const QUIET = { checks: { pluginTimings: false } };

/** Small parts that most views use, in one file: each of its own would be another request, which weighs as much as it does. */
const FRAME = { name: 'frame', test: /\/preact\/|\/protocol\/duration\.ts|\/shell\/copy-box\.tsx/ };

/** Settings for `vite.build` into a folder, which is emptied first. */
export function viteConfig(outDir: string): InlineConfig {
  return {
    configFile: false,
    root: WEB,
    base: '/',
    logLevel: 'warn',
    publicDir: false,
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    // Code for Node and browsers tests for `process`; browsers have none, so the bundler can drop that branch.
    define: {
      process: 'undefined',
      'globalThis.process': 'undefined',
      WASM_BYTES: String(
        statSync(createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')).size,
      ),
    },
    // The same codec without `new Function`, which the Content-Security-Policy forbids.
    resolve: { alias: { 'cbor-x': 'cbor-x/index-no-eval' }, dedupe: ['preact'] },
    build: {
      outDir,
      emptyOutDir: true,
      // One style sheet, because one of a view whose download failed would never be requested again.
      cssCodeSplit: false,
      target: 'es2023',
      assetsInlineLimit: 0, // a data: address would need an exception in the Content-Security-Policy
      chunkSizeWarningLimit: 2000,
      // A piece that was preloaded in vain, while the hub was away, could never be loaded again in this page: only what the first load needs is.
      modulePreload: {
        polyfill: false,
        resolveDependencies: (_file, pieces, { hostType }) => (hostType === 'html' ? pieces : []),
      },
      reportCompressedSize: false,
      manifest: 'manifest.json',
      rolldownOptions: { ...QUIET, output: { codeSplitting: { groups: [FRAME] } } },
    },
    worker: { format: 'es', rolldownOptions: QUIET },
    plugins: [card(), offline(outDir), packed(outDir)],
  };
}

/** The picture of the preview card keeps its name, because other sites store the address. */
function card(): Plugin {
  return {
    name: 'potluck-card',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'card.png', source: readFileSync(join(WEB, 'card.png')) });
    },
  };
}

/** Writes FILE.gz beside every file that shrinks, so that the hub need not compress on request. */
function packed(outDir: string): Plugin {
  return {
    name: 'potluck-packed',
    writeBundle() {
      for (const file of readdirSync(outDir, { recursive: true, encoding: 'utf8' })) {
        const path = join(outDir, file);
        if (!statSync(path).isFile() || statSync(path).size < WORTH_PACKING_BYTES) continue;
        const bytes = readFileSync(path);
        const gzipped = gzipSync(bytes, { level: 9 });
        if (gzipped.length < bytes.length * 0.9) writeFileSync(`${path}.gz`, gzipped);
      }
    },
  };
}

// For the build: chooses the files that the service worker stores, and writes the list into it.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

/** Beside the document, because it controls only addresses below its own. */
const SERVICE_WORKER = 'service-worker.js';
const PLAY_VIEW = 'play/play-view.tsx';
/** Play computes on WebAssembly; the runtime for GPUs, several times its size, is not stored. */
const NOT_KEPT = /asyncify|webgpu/;

/** Names in the manifest of the build, which also lists the imports of a view. */
type Manifest = Readonly<Record<string, { readonly file: string; readonly css?: readonly string[] }>>;

/** The files of the shell and of Play: those that the document names, and all that Play's files import. */
export function offlineFiles(document: string, manifest: Manifest, files: ReadonlyMap<string, string>): string[] {
  const namedIn = (text: string): string[] => [...files.keys()].filter((name) => text.includes(name));
  const shell = namedIn(document);
  const kept = new Set(shell);
  const play = manifest[PLAY_VIEW];
  const next = [play.file, ...(play.css ?? [])].map((path) => path.replace('assets/', ''));
  for (let name = next.pop(); name !== undefined; name = next.pop()) {
    if (kept.has(name) || NOT_KEPT.test(name)) continue;
    kept.add(name);
    next.push(...namedIn(files.get(name)!));
  }
  return [...kept].sort();
}

/** Builds the service worker, and writes the list into it after all other files. */
export function offline(outDir: string): Plugin {
  return {
    name: 'potluck-offline',
    buildStart() {
      this.emitFile({ type: 'chunk', id: join(import.meta.dirname, 'service-worker.ts'), fileName: SERVICE_WORKER });
    },
    writeBundle() {
      const read = (name: string): string => readFileSync(join(outDir, name), 'utf8');
      const isText = (name: string): boolean => /\.(?:m?js|css)$/.test(name);
      const names = readdirSync(join(outDir, 'assets'));
      const files = new Map(names.map((name) => [name, isText(name) ? read(join('assets', name)) : '']));
      const document = read('index.html');
      const kept = offlineFiles(document, JSON.parse(read('manifest.json')), files).map((name) => `/assets/${name}`);
      const entry = /src="(\/assets\/[^"]+)"/.exec(document)?.[1];
      const version = createHash('sha256').update(document).update(kept.join()).digest('hex').slice(0, 16);
      const build = JSON.stringify({ version, entry, files: kept });
      writeFileSync(join(outDir, SERVICE_WORKER), `const OFFLINE_BUILD=${build};\n${read(SERVICE_WORKER)}`);
    },
  };
}

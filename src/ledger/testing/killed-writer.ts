// A process of its own that puts one blob after the other into a folder, until it is killed in the middle of that.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { FolderOptions } from '../folder-blob-store.ts';

/** A hash in hexadecimal and the end of its line. */
const LINE_CHARACTERS = 65;

/**
 * Kills the writer once it has acknowledged more than so many blobs, of `least_bytes` and then of a byte more each.
 * @returns the names that it has acknowledged
 */
export async function namesOfKilledWriter(
  dir: string,
  options: FolderOptions,
  { least_bytes, after }: { readonly least_bytes: number; readonly after: number },
): Promise<string[]> {
  const module = JSON.stringify(join(import.meta.dirname, '..', 'folder-blob-store.ts'));
  const script = `import(${module}).then(async (m) => {
    const store = await m.openFolderBlobStore(${JSON.stringify(dir)}, ${JSON.stringify(options)});
    for (let i = 0; ; i++) console.log(await store.put(new Uint8Array(${least_bytes} + i).fill(process.pid + i)));
  })`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let acknowledged = '';
  child.stdout.on('data', (chunk) => {
    acknowledged += chunk;
    if (acknowledged.length > LINE_CHARACTERS * after) child.kill('SIGKILL');
  });
  await once(child, 'close');
  return acknowledged.split('\n').slice(0, -1);
}

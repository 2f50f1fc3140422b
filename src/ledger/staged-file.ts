// A file that is written in pieces and hashed on the way, before it gets its name. The first bytes wait in memory, the rest go to disk.
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { sha256Hex } from '../protocol/hash.ts';
import { PRIVATE_FILE } from '../protocol/private-files.ts';

/** Below this size no file is opened, so small and slow uploads hold no file descriptor. */
const IN_MEMORY_BYTES = 64 << 10;

/** Wait for each call before the next. Throws the file system's errors. */
export class StagedFile {
  size_bytes = 0;
  readonly #path: string;
  /** Of what has left the memory; before, all is hashed in one call, which takes a third of the time. */
  #hash: Hash | null = null;
  #file: FileHandle | null = null;
  #waiting: Uint8Array[] = [];
  #dropped = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** The SHA-256 of what has been written so far. */
  get hash(): string {
    if (this.#hash) return this.#hash.copy().digest('hex');
    return sha256Hex(...(this.#waiting.length === 1 ? this.#waiting : [Buffer.concat(this.#waiting)]));
  }

  /** All bytes, where none of them are on the disk yet; null otherwise. */
  get inMemory(): Uint8Array | null {
    return this.#file === null && !this.#dropped ? Buffer.concat(this.#waiting) : null;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#mustGoOn();
    this.size_bytes += bytes.length;
    if (this.#file === null && this.size_bytes <= IN_MEMORY_BYTES) {
      this.#waiting.push(new Uint8Array(bytes));
      return;
    }
    this.#letGo().update(bytes);
    await this.#flush();
    await this.#file!.writeFile(bytes);
  }

  /** Makes the bytes durable and gives the file its name. */
  async nameIt(path: string): Promise<void> {
    await this.#flush();
    await this.#file!.sync();
    await this.#close();
    await rename(this.#path, path);
  }

  async discard(): Promise<void> {
    this.#letGo();
    this.#dropped = true;
    this.#waiting = [];
    if (this.#file === null) return;
    await this.#close();
    await unlink(this.#path).catch(() => {}); // the next start removes what is left
  }

  /** What waits in memory is about to leave it: from now on the hash is kept. */
  #letGo(): Hash {
    if (this.#hash) return this.#hash;
    this.#hash = createHash('sha256');
    for (const bytes of this.#waiting) this.#hash.update(bytes);
    return this.#hash;
  }

  async #flush(): Promise<void> {
    this.#mustGoOn();
    this.#letGo();
    this.#file ??= await open(this.#path, 'wx', PRIVATE_FILE);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const bytes of waiting) await this.#file.writeFile(bytes);
  }

  /** Writing to a dropped file would lose the first part, and the hash would not reveal it. */
  #mustGoOn(): void {
    if (this.#dropped) throw new Error('a dropped file cannot be written to');
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }
}

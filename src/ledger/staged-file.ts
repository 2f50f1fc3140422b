// A file that is written piece by piece and hashed meanwhile, before it gets its name: the first bytes wait in memory, the rest are on the disk.
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { PRIVATE_FILE } from '../protocol/private-files.ts';

/** Below this no file is opened: what trickles or is small holds no descriptor. */
const IN_MEMORY_BYTES = 64 << 10;

/** Throws what the file system throws. One call after the other. */
export class StagedFile {
  size_bytes = 0;
  readonly #path: string;
  readonly #hash: Hash = createHash('sha256');
  #file: FileHandle | null = null;
  #waiting: Uint8Array[] = [];
  #dropped = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** The SHA-256 of what has been written so far. */
  get hash(): string {
    return this.#hash.copy().digest('hex');
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#mustGoOn();
    this.#hash.update(bytes);
    this.size_bytes += bytes.length;
    if (this.#file === null && this.size_bytes <= IN_MEMORY_BYTES) {
      this.#waiting.push(new Uint8Array(bytes));
      return;
    }
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
    this.#dropped = true;
    this.#waiting = [];
    if (this.#file === null) return;
    await this.#close();
    await unlink(this.#path).catch(() => {}); // what is left is removed at the next start
  }

  async #flush(): Promise<void> {
    this.#mustGoOn();
    this.#file ??= await open(this.#path, 'wx', PRIVATE_FILE);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const bytes of waiting) await this.#file.writeFile(bytes);
  }

  /** What was written before it was dropped is gone, and the hash would not tell. */
  #mustGoOn(): void {
    if (this.#dropped) throw new Error('a file that was dropped is not written on');
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }
}

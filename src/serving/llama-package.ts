// llama.cpp where it is installed: the prebuilt binding of node-llama-cpp for this device (docs/decisions/0037), one package without dependencies.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ServingError } from './errors.ts';

/** The binding's functions are no public interface: another version may have others. */
const VERSION = '3.22.1';

/** The packages that compute on the processor, by platform and architecture. That of macOS has Metal as well. */
const PACKAGES: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'linux-arm': 'linux-armv7l',
  'darwin-arm64': 'mac-arm64-metal',
  'darwin-x64': 'mac-x64',
  'win32-x64': 'win-x64',
  'win32-arm64': 'win-arm64',
};

/** A kind of device, in Node's words. */
export type Device = Pick<NodeJS.Process, 'platform' | 'arch'>;

/** What this program uses of the binding (AddonTypes.d.ts of node-llama-cpp). */
export interface LlamaBinding {
  readonly AddonModel: new (
    path: string,
    options: {
      readonly addonExports: LlamaBinding;
      readonly gpuLayers: number;
      readonly useMmap: boolean;
      readonly checkTensors: boolean;
    },
  ) => LlamaModel;
  readonly AddonContext: new (
    model: LlamaModel,
    options: {
      readonly contextSize: number;
      readonly batchSize: number;
      readonly sequences: number;
      readonly threads: number;
      readonly flashAttention: boolean;
      readonly kvCacheKeyType: number;
      readonly kvCacheValueType: number;
      readonly swaFullCache: boolean;
    },
  ) => LlamaContext;
  readonly AddonSampler: new (model: LlamaModel) => LlamaSampler;
  setLogger(logger: (level: number, text: string) => void): void;
  setLoggerLogLevel(level: number): void;
  loadBackends(folder?: string): void;
  init(): Promise<void>;
  getIsArchSupported(architecture: string): boolean;
  getIsArchRecurrent(architecture: string): boolean | undefined;
  getIsArchHybrid(architecture: string): boolean | undefined;
}

export interface LlamaModel {
  init(): Promise<boolean>;
  dispose(): Promise<void>;
  tokenize(text: string, special: boolean): Uint32Array;
  isEogToken(id: number): boolean;
}

export interface LlamaContext {
  init(): Promise<boolean>;
  dispose(): Promise<void>;
  initBatch(tokens: number): void;
  /** The places of the logits that were asked for, in the batch. */
  addToBatch(sequence: number, position: number, tokens: Uint32Array, logits_at: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  /** The fourth item: ids and logits in turns. */
  sampleToken(
    place: number,
    sampler: LlamaSampler,
    probabilities: boolean,
    confidence: boolean,
    logits: boolean,
  ): Promise<readonly [number, unknown, unknown, readonly number[] | undefined]>;
  removeTokenCellsFromSequence(sequence: number, from: number, to: number): boolean;
  disposeSequence(sequence: number): void;
  setThreads(threads: number): void;
}

export interface LlamaSampler {
  applyConfig(config: object): void;
  dispose(): void;
}

/** Where people install engines for this program; `npm ci` in a checkout never touches it. */
export const enginesFolder = (home: string = process.env.POTLUCK_HOME || join(homedir(), '.potluck')): string =>
  join(home, 'engines');

/** The command that installs llama.cpp for a device; null where there is no package for it. */
export function installCommand({ platform, arch }: Device = process, folder: string = enginesFolder()): string | null {
  const name = PACKAGES[`${platform}-${arch}`];
  if (name === undefined) return null;
  return `npm install --ignore-scripts --prefix ${JSON.stringify(folder)} @node-llama-cpp/${name}@${VERSION}`;
}

export interface FoundLlama {
  readonly version: string;
  /** The folder with the binding and its libraries. */
  readonly folder: string;
  readonly binding: string;
}

/** Finds the package beside this program or in `folder`. Throws ServingError `no-engine`, which says what to do. */
export function findLlama({ platform, arch }: Device = process, folder: string = enginesFolder()): FoundLlama {
  const command = installCommand({ platform, arch }, folder);
  if (command === null) {
    throw new ServingError(
      'no-engine',
      `there is no llama.cpp for ${platform}-${arch}; Potluck's own engine serves here`,
    );
  }
  const name = PACKAGES[`${platform}-${arch}`];
  const places = createRequire(import.meta.url).resolve.paths('@node-llama-cpp') ?? [];
  for (const place of [...places, join(folder, 'node_modules')]) {
    const home = join(place, '@node-llama-cpp', name);
    if (!existsSync(join(home, 'package.json'))) continue;
    const { version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { version: string };
    if (version !== VERSION) {
      const fact = `llama.cpp's package in ${dirname(home)} is version ${version}, expected ${VERSION}`;
      throw new ServingError('no-engine', `${fact}; this installs it: ${command}`, { command });
    }
    const folder = join(home, 'bins', name);
    return { version, folder, binding: join(folder, 'llama-addon.node') };
  }
  throw new ServingError('no-engine', `llama.cpp is not installed; this installs it: ${command}`, { command });
}

/** Why llama.cpp cannot serve here, in words; null where it is installed. */
export function missingLlama(): string | null {
  try {
    findLlama();
    return null;
  } catch (error) {
    if (error instanceof ServingError) return error.message;
    throw error;
  }
}

export interface LoadedLlama extends FoundLlama {
  readonly llama: LlamaBinding;
  /** What llama.cpp has said of a failure, since this was asked last. */
  errors(): Promise<string>;
}

const LOG_ERRORS = 2;
/** A file chooses what is said of it. */
const MOST_ERRORS = 4;
const MOST_CHARACTERS = 500;

/** One for the process: the binding's libraries are loaded once, and a second logger would silence both. */
let loaded: Promise<LoadedLlama> | null = null;

/** Loads the binding into this process. Whatever it computes may end the process: a child's, in general. Throws ServingError `no-engine`. */
export async function loadLlama(): Promise<LoadedLlama> {
  loaded ??= load(findLlama());
  return loaded;
}

async function load(found: FoundLlama): Promise<LoadedLlama> {
  const llama = createRequire(import.meta.url)(found.binding) as LlamaBinding;
  let said: string[] = [];
  llama.setLogger((_, text) => {
    if (text.trim() !== '' && said.length < MOST_ERRORS) said.push(text.trim());
  });
  llama.setLoggerLogLevel(LOG_ERRORS);
  llama.loadBackends(); // registers what is linked in
  llama.loadBackends(found.folder); // the variant for this very processor
  await llama.init();
  const errors = async (): Promise<string> => {
    await nextTurn(); // its words come through the event loop
    const words = said.join('; ');
    said = [];
    return words.slice(0, MOST_CHARACTERS) || 'it does not say why';
  };
  return { ...found, llama, errors };
}

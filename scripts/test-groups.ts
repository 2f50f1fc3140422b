// Unit tests of a room, and tests of the page, several files in one process: each alone loads the same modules, or a browser, for longer than most test.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Rooms whose files test in milliseconds. */
const QUICK_ROOMS = ['core', 'hub', 'peer', 'audit', 'owner', 'protocol', 'ledger', 'serving', 'cli', 'web'];
/** Rooms of which many files compute: those stay on their own, so that cores share them. */
const ROOMS = [...QUICK_ROOMS, 'games', 'model', 'tensor', 'training', 'simulation'];
/** What a file of these rooms calls that computes. */
const COMPUTES = /(Runtime|Example|Trainer|Arena)\(/i;
/** A drawn case that fails is made smaller for so long; one took six minutes for what a person sees in the first that failed. */
const LONGEST_MS = 120_000;
const IN_TIME = `import fc from ${JSON.stringify(import.meta.resolve('fast-check'))};
fc.configureGlobal({ interruptAfterTimeLimit: ${LONGEST_MS} });
`;
/** More files would make one process that others wait for. */
const FILES = 12;
/** One changes what all of a process shares, the file system for a power cut; one fills and blocks threads; the others take as long as a group, as Ceph's start does. */
const ALONE = [
  'src/ledger/s3/ceph-rgw.test.ts',
  'src/peer/drawer.test.ts',
  'src/games/host/host.test.ts',
  'src/serving/api/clients.test.ts',
  'src/simulation/auditor/auditor.test.ts',
  'src/simulation/play.test.ts',
];

/** Tests of the page in groups of about the same length: they share a browser besides (test/tab-browser.ts). */
const PAGES = [
  ['page-devices', 'page-elsewhere', 'page-keys', 'page-ledger', 'page-pool', 'tab-serves'],
  ['page-forms', 'page-play', 's3-tab', 'sandbox'],
].map((names) => names.map((name) => `test/${name}.test.ts`));

export interface Group {
  /** For people. */
  readonly name: string;
  /** What to run. */
  readonly file: string;
  /** Whether others should not begin before it. */
  readonly long: boolean;
}

/**
 * Files in groups, and those that remain. What a group runs is written into `folder`: each file is a suite, so that what it does before
 * and after its tests touches no other's.
 */
export function grouped(
  files: readonly string[],
  root: string,
  folder: string,
): { readonly groups: Group[]; readonly rest: string[] } {
  const groups: Group[] = [];
  const rest = new Set(files);
  const together = (some: readonly string[], id: string, name: string, long: boolean): void => {
    const file = join(folder, `${id}.test.mjs`);
    const suites = some.map((path) => {
      const url = pathToFileURL(resolve(root, path)).href;
      return `describe(${JSON.stringify(path)}, async () => {\n  await import(${JSON.stringify(url)});\n});\n`;
    });
    writeFileSync(file, `${IN_TIME}import { describe } from 'node:test';\n${suites.join('')}`);
    groups.push({ name: `${some.length} files of ${name}`, file, long });
    for (const path of some) rest.delete(path);
  };
  for (const [i, some] of PAGES.entries()) together(some, `pages-${i + 1}`, `the page, part ${i + 1}`, true);
  for (const room of ROOMS) {
    const isQuick = (file: string): boolean =>
      QUICK_ROOMS.includes(room) || !COMPUTES.test(readFileSync(join(root, file), 'utf8'));
    const all = files.filter((file) => file.startsWith(`src/${room}/`) && !ALONE.includes(file) && isQuick(file));
    const count = Math.ceil(all.length / FILES);
    for (let i = 0; i < count; i++) {
      const some = all.filter((_, at) => at % count === i);
      together(some, `${room}-${i + 1}`, `src/${room}, part ${i + 1}`, false);
    }
  }
  return { groups, rest: [...rest] };
}

// Loaded before each test file by scripts/test.ts: tells at its end how much processor time it took, with all processes that it started where Linux
// lets it have a control group of its own, and otherwise with those that it waited for, which Chromium's are not.
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Linux counts in hundredths of a second, whatever the kernel's own clock. */
const TICKS_PER_SECOND = 100;
const STAT = '/proc/self/stat';

/** This process and, where the system tells, those that it has waited for. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  if (!existsSync(STAT)) return (user + system) / 1e6;
  // proc(5): utime, stime, cutime and cstime are fields 14 to 17; the name before them may hold anything but ends with a bracket.
  const fields = readFileSync(STAT, 'utf8').split(') ').at(-1)!.split(' ').slice(11, 15);
  return fields.reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
}

const GROUPS = '/sys/fs/cgroup';

/** Puts this process into a control group of its own; null where it may not. @returns what leaves the group and tells the seconds that it took */
function ownGroup(): (() => number) | null {
  try {
    const lines = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
    for (const line of lines) {
      // cgroups(7): of version 1 those of a controller, of version 2 all.
      const [, controllers, path] = line.split(':');
      const parent = join(GROUPS, controllers, path);
      if (controllers !== '' && !controllers.split(',').includes('cpuacct')) continue;
      if (!existsSync(join(parent, 'cgroup.procs'))) continue;
      const group = join(parent, `potluck-test-${process.pid}`);
      mkdirSync(group);
      writeFileSync(join(group, 'cgroup.procs'), String(process.pid));
      const [name, pattern, unit] =
        controllers === ''
          ? (['cpu.stat', /usage_usec (\d+)/, 1e6] as const)
          : (['cpuacct.usage', /(\d+)/, 1e9] as const);
      return () => {
        const [, used] = pattern.exec(readFileSync(join(group, name), 'utf8'))!;
        writeFileSync(join(parent, 'cgroup.procs'), String(process.pid));
        try {
          rmdirSync(group);
        } catch {} // something that the test has started is still there
        return Number(used) / unit;
      };
    }
  } catch {} // it may not: most users may not
  return null;
}

const [, file] = process.argv;
const told = process.env.POTLUCK_TEST_CPU;
// Workers and forked processes of a test are given the same flags; their time is in the test's.
if (told && file && /\.test\.(ts|mjs)$/.test(file)) {
  const inGroup = ownGroup();
  process.on('exit', () => appendFileSync(told, `${(inGroup ?? cpuSeconds)()} ${file}\n`));
}

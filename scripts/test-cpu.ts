// Loaded before each test file by scripts/test.ts: tells at its end how much processor time it took, with the processes that it waited for.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';

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

const [, file] = process.argv;
const told = process.env.POTLUCK_TEST_CPU;
// Workers and forked processes of a test are given the same flags; their time is in the test's.
if (told && file && /\.test\.(ts|mjs)$/.test(file)) {
  process.on('exit', () => appendFileSync(told, `${cpuSeconds()} ${file}\n`));
}

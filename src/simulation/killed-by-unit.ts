// Whether the unit test that is named for a fault fails with it and passes without it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SimulationError } from './errors.ts';
import type { AnyFault } from './find-faults.ts';

const SRC = join(import.meta.dirname, '..');
/** A test that hangs because of the fault has failed; without the fault all of them take a few seconds. */
const HANGS_MS = 60_000;
const PLANT = pathToFileURL(join(import.meta.dirname, 'plant-from-environment.ts')).href;

/** Returns null if the fault names no test, because only a network can show it. */
export function killedByUnit(fault: AnyFault): { readonly test: string; readonly killed: boolean } | null {
  if (!('unit' in fault) || fault.unit === undefined) return null;
  const [file, name] = fault.unit;
  const passes = (planted: string): boolean => {
    const pattern = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const args = ['--import', PLANT, '--test-reporter=tap', `--test-name-pattern=${pattern}`, join(SRC, file)];
    const { status, stdout } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      timeout: HANGS_MS,
      env: { ...process.env, POTLUCK_PLANTED: planted, NODE_TEST_CONTEXT: undefined },
    });
    if (stdout.includes('bad-fault')) throw new SimulationError('bad-fault', stdout.slice(0, 2000));
    return status === 0 && /^# pass [1-9]/m.test(stdout);
  };
  return { test: `${file}: ${name}`, killed: passes('') && !passes(fault.name) };
}

// Stands in for `potluck join` in tests of what keeps it: a process that "talks to a graphics processor" is its child, as the real one is.
import { spawn } from 'node:child_process';
import { openThrottle } from '../../peer/policy.ts';
import { obeyKeeper } from '../kept-process.ts';

const how = process.argv[2];
const gpu = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
const throttle = openThrottle(1);
const goes = { ...throttle, go: onGo };
const keeper = obeyKeeper(goes, () => {
  if (how === 'hangs') return;
  gpu.kill('SIGKILL');
  keeper.over('left');
  process.exit(0);
});
process.on('disconnect', () => {
  gpu.kill('SIGKILL');
  process.exit(1);
});
keeper.gpuProcesses([gpu.pid!]);

/** Where it is told so it computes elsewhere when it hears "go" a second time, and the third time something has failed. */
let times = 0;
async function onGo(): Promise<void> {
  times++;
  if (how !== 'elsewhere') return;
  if (times === 2) {
    gpu.kill('SIGKILL');
    keeper.gpuProcesses([]);
  }
  if (times === 3) keeper.gpuFailed(String(await keeper.gpuRests()));
}

setInterval(() => {}, 1000);

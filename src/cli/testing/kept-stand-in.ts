// Stands in for `potluck join` in tests of what keeps it: a process that "talks to a graphics processor" is its child, as the real one is.
import { spawn } from 'node:child_process';
import { openThrottle } from '../../peer/policy.ts';
import { obeyKeeper } from '../kept-process.ts';

const how = process.argv[2];
const gpu = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
const keeper = obeyKeeper(openThrottle(1), () => {
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
if (how === 'elsewhere') {
  setTimeout(() => {
    gpu.kill('SIGKILL');
    keeper.gpuProcesses([]);
  }, 200);
  setTimeout(async () => keeper.gpuFailed(String(await keeper.gpuRests())), 400);
}
setInterval(() => {}, 1000);

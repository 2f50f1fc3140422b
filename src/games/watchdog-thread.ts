// The thread that looks after a game: it counts its own looks and not the time, so that a machine that slept ends nothing.
import { writeSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
import { PARTS, type Watched } from './watchdog.ts';

const STDERR = 2;

function look({ game, shared, look_ms, blocked_ms }: Watched): void {
  let last = -1;
  let looks = 0;
  setInterval(() => {
    const beats = Atomics.load(shared, 0);
    const under_way = PARTS.filter((_, i) => Atomics.load(shared, 1 + i) > 0);
    looks = beats === last && under_way.length > 0 ? looks + 1 : 0;
    last = beats;
    if (looks * look_ms < blocked_ms) return;
    const parts = under_way.join(', ');
    const line = `potluck: game "${game}": ${parts} has not given way for ${blocked_ms / 1000} s and holds up everything else: this process ends\n`;
    // Not process.stderr: in a thread that goes through the one that loops.
    writeSync(STDERR, line);
    process.kill(process.pid, 'SIGKILL');
  }, look_ms);
}

if (!isMainThread) look(workerData as Watched);

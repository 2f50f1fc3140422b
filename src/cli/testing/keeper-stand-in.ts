// Keeps a process and stops it, then says which processes stand still: for a test that kills it. See kept-process.test.ts.
import { keptProcesses } from '../kept-process.ts';

const { start, use } = keptProcesses(['hangs'], 'ignore', undefined, process.argv[2]);
const kept = start();
kept.go(1, null);
const waiting = setInterval(() => {
  if (use.gpu_pids().length === 0) return;
  clearInterval(waiting);
  kept.stop(null);
  setTimeout(() => console.log(JSON.stringify(use.pids().slice(1))), 1000); // after the notice that it gets
}, 20);

#!/usr/bin/env node
// The `potluck` command, with a Node that can run it, whichever Node started it: the sources of a checkout, the compiled files of a package.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'src', 'cli', 'main.ts');
const main = existsSync(source) ? source : join(root, 'dist', 'cli', 'main.js');
const bundled = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');

// ONNX Runtime reads it once a process, also where a thread loads it: see src/tensor/no-telemetry.ts.
process.env.ORT_DISABLE_TELEMETRY = '1';

// The second start need not strip types again, nor need threads and other potluck processes that this one starts: those know of it by its name.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'node-compile-cache');

// As in src/serving/freed-memory.ts. The C library reads it as a process starts, so what holds models starts once more, in the same process; its
// children inherit it.
const wanted = 'MALLOC_MMAP_THRESHOLD_';
const holdsModels = ['serve', 'join', 'hub', 'demo', 'export'].includes(process.argv[2]);
const startsAnew = holdsModels && process.platform === 'linux' && process.env[wanted] === undefined;
if (startsAnew) process.env[wanted] = '500000';

// As in src/cli/children.ts: V8 reads it as a process starts.
const memory = process.argv[2] === 'hub' ? ['--max-semi-space-size=8'] : [];

if (Number(process.versions.node.split('.')[0]) >= 24) {
  // A channel to whoever has forked this process would not outlive that.
  if (startsAnew && process.execve && !process.send) {
    process.execve(process.execPath, [process.execPath, ...process.execArgv, ...memory, ...process.argv.slice(1)], {
      ...process.env,
    });
  }
  module.enableCompileCache();
  await import(pathToFileURL(main).href);
} else if (existsSync(bundled)) {
  const child = spawn(bundled, [main, ...process.argv.slice(2)], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
} else {
  console.error(
    `potluck needs Node 24 or newer, this is ${process.version}. Install it from nodejs.org, then try again.`,
  );
  process.exit(1);
}

// Tests of the WASM runtime in Node: the common suite, and that it needs nothing from a network.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { runtimeSuite } from './testing/runtime-compliance.ts';
import { createWasmRuntime } from './wasm-runtime.ts';

runtimeSuite('WASM', (threads) => createWasmRuntime({ threads }));

/** Loaded into every thread of the process under test: whoever opens a connection ends it. */
const NO_NETWORK = `import net from 'node:net';
  net.Socket.prototype.connect = () => { console.error('opened a connection'); process.exit(9); };
  console.error('guarded');`;

for (const [what, body] of [
  ['closed', 'await runtime.close();'],
  ['forgotten while idle', ''],
]) {
  test(`a process whose two-threaded runtime is ${what} ends, and never fetched anything`, () => {
    const script = `
      import { createWasmRuntime } from './src/tensor/wasm-runtime.ts';
      import { accumulator } from './src/tensor/testing/runtime-compliance.ts';
      const runtime = await createWasmRuntime({ threads: 2 });
      const program = await runtime.load(accumulator());
      await program.run({ x: { dtype: 'float32', shape: [2, 3], data: new Float32Array(6) } });
      ${body}
      console.log('done');`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
      cwd: new URL('../..', import.meta.url),
      encoding: 'utf8',
      timeout: 240_000,
      env: { ...process.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(NO_NETWORK)}` },
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /done/);
    assert.ok(stderr.split('guarded').length > 2, 'the process and its worker are both guarded');
  });
}

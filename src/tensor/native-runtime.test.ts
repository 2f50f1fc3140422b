// Tests of the native runtime: the common suite, the end of its worker, and that nothing is left open.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TensorError } from './errors.ts';
import { createNativeRuntime, isNativeHere } from './native-runtime.ts';
import { runtimeOverWorker } from './runtime-client.ts';
import { startNodeWorker } from './runtime-node-worker.ts';
import { accumulator, runtimeSuite } from './testing/runtime-compliance.ts';

runtimeSuite('native', (threads) => createNativeRuntime({ threads }));

const died = (mention: string) => (error: unknown) =>
  error instanceof TensorError && error.code === 'runtime-died' && error.message.includes(mention);

test('a worker that crashes rejects the call that waits, and every later one', async () => {
  const crash = new URL(
    `data:text/javascript,${encodeURIComponent(
      `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => { throw new Error('boom'); });`,
    )}`,
  );
  const runtime = runtimeOverWorker('native-cpu', startNodeWorker(crash, null));
  const [first, second] = [runtime.load(accumulator()), runtime.load(accumulator())];
  await Promise.all([assert.rejects(first, died('boom')), assert.rejects(second, died('boom'))]);
  await assert.rejects(runtime.load(accumulator()), died('boom'));
  await runtime.close();
});

test('a worker that exits without a word is noticed', async () => {
  const exit = new URL(
    `data:text/javascript,${encodeURIComponent(
      `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => process.exit(3));`,
    )}`,
  );
  const runtime = runtimeOverWorker('native-cpu', startNodeWorker(exit, null));
  await assert.rejects(runtime.load(accumulator()), died('exit code 3'));
  await runtime.close();
});

/** Runs a small program in its own process: the only way to see what keeps it alive and how large it grows. */
function inOwnProcess(body: string, env: NodeJS.ProcessEnv = process.env) {
  const script = `
    import { createNativeRuntime } from './src/tensor/native-runtime.ts';
    import { encodeOnnx } from './src/tensor/onnx.ts';
    import { accumulator } from './src/tensor/testing/runtime-compliance.ts';
    const runtime = await createNativeRuntime({ threads: 2 });
    const program = await runtime.load(accumulator());
    await program.run({ x: { dtype: 'float32', shape: [2, 3], data: new Float32Array(6) } });
    ${body}
    console.log('done');`;
  return spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
    cwd: new URL('../..', import.meta.url),
    encoding: 'utf8',
    ...{ env, timeout: 240_000 },
  });
}

test('it keeps no identifier of the device, and tells its maker nothing', (t) => {
  const home = mkdtempSync(join(tmpdir(), 'potluck-home-'));
  t.after(() => rmSync(home, { recursive: true }));
  // Where tests of ONNX Runtime's own or of a CI run it is silent anyway.
  const env = { PATH: process.env.PATH, HOME: home, XDG_CACHE_HOME: home, TMPDIR: home };
  const { status, stderr } = inOwnProcess('await runtime.close();', env);
  assert.equal(status, 0, stderr);
  assert.deepEqual(readdirSync(home), []);
});

for (const [what, body] of [
  ['a closed runtime leaves nothing that keeps a process alive', 'await runtime.close();'],
  ['a forgotten idle runtime does not keep a process alive either', ''],
]) {
  test(what, () => {
    const { status, stdout, stderr } = inOwnProcess(body);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /done/);
  });
}

test('runs neither copy the states nor keep anything: memory stays as it is', () => {
  const body = `
    const shape = [16 * 2 ** 20];
    const onnx = encodeOnnx({
      nodes: [{ op: 'Add', inputs: ['w', 'x'], outputs: ['w_next'], attributes: {} }],
      inputs: [{ name: 'w', dtype: 'float32', shape }, { name: 'x', dtype: 'float32', shape: [] }],
      outputs: [{ name: 'w_next', dtype: 'float32', shape }],
      constants: [],
    });
    const large = await runtime.load({ onnx, inputs: ['x'], outputs: [], states: [{ name: 'w', next: 'w_next', shape }] });
    const run = () => large.run({ x: { dtype: 'float32', shape: [], data: Float32Array.of(1) } });
    await run();
    const before = process.resourceUsage().maxRSS;
    for (let i = 0; i < 6; i++) await run();
    const grown_kib = process.resourceUsage().maxRSS - before;
    const last = (await large.readState(['w'])).get('w').at(-1);
    await runtime.close();
    console.log(JSON.stringify({ grown_kib, last }));`;
  const { status, stdout, stderr } = inOwnProcess(body);
  assert.equal(status, 0, stderr);
  const { grown_kib, last } = JSON.parse(stdout.split('\n')[0]);
  assert.equal(last, 7);
  assert.ok(grown_kib < 32 * 1024, `six runs over a state of 64 MiB grew the process by ${grown_kib} KiB`);
});

test('is here where the kernels are', () => {
  assert.equal(isNativeHere(), true);
  assert.equal(isNativeHere({ ...process, arch: 's390x' }), false);
});

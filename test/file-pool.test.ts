// A GGUF file in a pool, by llama.cpp: devices that have it serve one model by its hash, go on with each other's answers and judge each other.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ANY_DEVICE } from '../src/hub/serving/caller.ts';
import { NO_COUNTS } from '../src/hub/serving/pool-metrics.ts';
import { openServedFile } from '../src/peer/served-file.ts';
import type { AnswerRequest } from '../src/serving/answers.ts';
import { modelObject } from '../src/serving/api/models.ts';
import { missingLlama } from '../src/serving/llama-package.ts';
import { testModel, writeGguf } from '../src/serving/testing/engine-models.ts';
import { requestOf, wholeAnswer } from '../src/serving/testing/tiny-model.ts';
import { poolDevice, poolFor } from './pool-device.ts';

const folder = mkdtempSync(join(tmpdir(), 'potluck-file-pool-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const OWNERS = ['1'.repeat(64), '2'.repeat(64)];

test('two devices with one file answer as one, whatever happens to the process of an engine', {
  skip: missingLlama() ?? false,
}, async () => {
  const path = await writeGguf(join(folder, 'small.gguf'), testModel());
  const verdicts: string[] = [];
  let heard = (): void => {};
  const pool = poolFor(null, {
    ownerOf: (peer) => OWNERS[Number(peer)] ?? null,
    counts: {
      ...NO_COUNTS,
      judged: (end) => {
        verdicts.push(end);
        heard();
      },
    },
  });
  const back = Promise.withResolvers<void>();
  const files = await Promise.all(
    [0, 1].map(() =>
      openServedFile(path, {
        ...{ licence: 'MIT', places: 2, threads: 1 },
        onNews: (news) => news.endsWith('started again') && back.resolve(),
      }),
    ),
  );
  const devices = files.map(({ served, watch }, i) => {
    const device = poolDevice(pool, String(i), served, { onProblem() {} });
    watch((isUp) => device.serving.serve(isUp ? served : null));
    return device;
  });
  try {
    devices[0].come();
    const server = pool.serverFor(ANY_DEVICE);
    const [offered] = server.models();
    const { hash } = files[0].served;
    assert.equal(offered.name, `gguf:${hash}`);
    const { owned_by, label, licence, quantisation, engine } = modelObject(offered, null);
    assert.deepEqual([owned_by, licence, quantisation, engine], [OWNERS[0], 'MIT', 'f32', 'llama.cpp']);
    assert.ok(label !== null && label !== offered.name);
    const request = { ...requestOf({ max_tokens: 120 }), model: offered.name } as AnswerRequest;
    const never = new AbortController().signal;
    const undisturbed = await wholeAnswer(server.answer(request, never));
    devices[1].come();
    assert.equal(server.models()[0].owner, 'several');
    // The engine that writes is killed in mid-answer: soon, as it writes faster than this test reads on a busy machine.
    let killed = false;
    const ids: number[] = [];
    for await (const event of server.answer(request, never)) {
      if (event.kind !== 'token') continue;
      ids.push(event.id);
      const writing = devices.findIndex(({ serving }) => serving.running > 0);
      if (killed || writing < 0) continue;
      killed = true;
      process.kill(files[writing].pid!, 'SIGKILL');
    }
    assert.ok(killed);
    assert.deepEqual(ids, undisturbed.ids);
    await back.promise;
    while (!verdicts.includes('accepted')) {
      await new Promise<void>((resolve) => {
        heard = () => resolve();
      });
    }
    assert.ok(!verdicts.includes('refused'));
    assert.deepEqual((await wholeAnswer(server.answer(request, never))).ids, undisturbed.ids);
  } finally {
    pool.close();
    await Promise.all(devices.map(({ serving }) => serving.close()));
    await Promise.all(files.map((file) => file.close()));
  }
});

test('a file whose licence is in words for no list is not offered', async () => {
  const path = await writeGguf(join(folder, 'nameless.gguf'), testModel());
  await assert.rejects(openServedFile(path, { places: 1, threads: 1, licence: 'line\nline' }), {
    code: 'bad-input',
    message: /licence does not fit.*--licence/,
  });
});

// The device of a GPU is kept by one session more, from the first that could be opened on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InferenceSession } from 'onnxruntime-node';
import { keepingDevice } from './kept-device.ts';
import type { OrtModule } from './session-program.ts';

const OPTIONS = { executionProviders: ['webgpu'] };
const MODEL = Uint8Array.of(1);

/** ONNX Runtime that opens what `opens` says, and notes with what options. */
function fakeOrt(opens: (model: Uint8Array) => boolean) {
  const asked: { readonly model: Uint8Array; readonly options: unknown }[] = [];
  const ort: OrtModule = {
    InferenceSession: {
      async create(model, options) {
        asked.push({ model, options });
        if (!opens(model)) throw new Error('no adapter');
        return {} as InferenceSession;
      },
    },
    Tensor: class {} as unknown as OrtModule['Tensor'],
  };
  return { ort, asked };
}

test('after the first session one more is opened, with the options of the device alone, and none later', async () => {
  const { ort, asked } = fakeOrt(() => true);
  const kept = keepingDevice(ort, OPTIONS);
  const options = { ...OPTIONS, preferredOutputLocation: { y: 'gpu-buffer' as const } };
  await kept.InferenceSession.create(MODEL, options);
  assert.deepEqual([asked.length, asked[0].model, asked[0].options, asked[1].options], [2, MODEL, options, OPTIONS]);
  await Promise.all([kept.InferenceSession.create(MODEL, options), kept.InferenceSession.create(MODEL, options)]);
  assert.deepEqual(
    asked.slice(2).map(({ model }) => model),
    [MODEL, MODEL],
  );
  assert.equal(kept.Tensor, ort.Tensor);
});

test('a session that cannot be opened keeps nothing, and one that cannot be kept is no error', async () => {
  const nothing = fakeOrt(() => false);
  await assert.rejects(keepingDevice(nothing.ort, OPTIONS).InferenceSession.create(MODEL), /no adapter/);
  assert.equal(nothing.asked.length, 1);
  const full = fakeOrt((model) => model === MODEL);
  await keepingDevice(full.ort, OPTIONS).InferenceSession.create(MODEL);
  assert.equal(full.asked.length, 2);
});

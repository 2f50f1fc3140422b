// A GPU's device that outlives single sessions: with its last session ONNX Runtime gives the device back, and with it every kernel that
// it has compiled, which the next session would compile again.
import type { InferenceSession } from 'onnxruntime-node';
import { encodeOnnx } from './onnx.ts';
import type { OrtModule } from './session-program.ts';

/** As small as a graph can be: it is never run. */
const GRAPH = encodeOnnx({
  inputs: [{ name: 'x', dtype: 'float32', shape: [1] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: [1] }],
  constants: [],
  nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'], attributes: {} }],
});

/**
 * The same module, which keeps one more session open from its first one on, until its thread or process ends. A module whose first
 * session cannot be opened keeps none, so that what it says is what went wrong.
 */
export function keepingDevice(ort: OrtModule, session: InferenceSession.SessionOptions): OrtModule {
  let kept: Promise<unknown> | null = null;
  return {
    Tensor: ort.Tensor,
    InferenceSession: {
      async create(model, options) {
        const opened = await ort.InferenceSession.create(model, options);
        kept ??= ort.InferenceSession.create(GRAPH, session).catch(() => null); // without it all works, only slower
        await kept;
        return opened;
      },
    },
  };
}

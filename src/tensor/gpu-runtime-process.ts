// The child process of the GPU runtime.
import './no-telemetry.ts';
import { z } from 'zod';
import { keepingDevice } from './kept-device.ts';
import { processOwnerPort, settingsOfProcess } from './runtime-node-process.ts';
import { serveRuntime } from './runtime-server.ts';
import type { OrtModule, SessionSettings } from './session-program.ts';

const { adapter } = z.object({ adapter: z.enum(['high-performance', 'low-power']) }).parse(settingsOfProcess());

const settings: SessionSettings = {
  preallocate: false,
  statesOnGpu: 'read-by-graph',
  session: {
    executionProviders: ['webgpu'],
    executionMode: 'sequential',
    enableMemPattern: false,
    logSeverityLevel: 4, // errors reach the caller; ONNX Runtime would also print them
    extra: { ep: { webgpuexecutionprovider: { powerPreference: adapter } } },
  },
};

async function loadOrt(): Promise<OrtModule> {
  const ort = await import('onnxruntime-node');
  ort.env.logLevel = 'fatal';
  return keepingDevice(ort, settings.session);
}

serveRuntime(processOwnerPort(), loadOrt(), settings);

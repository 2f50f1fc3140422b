// Our own engine does what every engine must do; llama.cpp's suite stands beside its own tests.
import { after } from 'node:test';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { openOwnEngine } from './engine-own.ts';
import { testModel } from './testing/engine-models.ts';
import { engineSuite } from './testing/engine-suite.ts';

const runtime = await createNativeRuntime({ threads: 1 });
after(() => runtime.close());
const model = testModel();
const cache_tokens = 3 * model.config.max_position_embeddings;
const open = () => openOwnEngine(runtime, { ...model, hash: '0'.repeat(64) }, { cache_tokens });
engineSuite('own', open, { tolerance: 1e-5 });

// Runs a program in QuickJS, compiled to WebAssembly and metered: a fresh instance for each run, so that nothing is left of the one before.
import base from '@jitl/quickjs-wasmfile-release-sync';
import {
  DefaultIntrinsics,
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSSyncVariant,
} from 'quickjs-emscripten-core';
import { metered, STACK_LEFT, STEPS_LEFT } from './metered.ts';
import { LEAST_MEMORY_BYTES, type ProgramJob, type ProgramLimits, type ProgramResult } from './program.ts';

const PAGE_BYTES = 1 << 16;
/**
 * Words of stack (metered.ts), as many as some 550 calls of a plain function take. It needs less than 400 kB of an engine's own stack, of which the Workers of
 * browsers have 512 kB and more: an engine that runs out of it first has no verdict.
 */
const STACK_WORDS = 40_000;
/** QuickJS's own limit, below the 5 MiB that the module has: the words above are reached first. */
const QUICKJS_STACK_BYTES = 1 << 20;
const MESSAGE_LENGTH = 500;

/**
 * Runs inside, before the program, and keeps what it needs from it. No clock: the context has no Date. Which NaN an operation makes is left open by
 * WebAssembly, and these can show a program its bits.
 */
const PRELUDE = `(() => {
  const { eval: evaluate, JSON: { parse, stringify }, String: string, TypeError } = globalThis;
  delete Math.random;
  delete Math.f16round;
  for (const name of ['Float16Array', 'Float32Array', 'Float64Array', 'DataView']) delete globalThis[name];
  return (text, input) => {
    try {
      const program = evaluate(text);
      if (typeof program !== 'function') throw new TypeError('expected the value of the program to be a function, got ' + typeof program);
      const output = stringify(program(parse(input)));
      if (output === undefined) throw new TypeError('expected a JSON value from the program');
      return 'v' + output;
    } catch (error) {
      return 'e' + string(error);
    }
  };
})()`;

/** What a module's metered instance exports beside its own. */
type Meters = Readonly<Record<typeof STEPS_LEFT | typeof STACK_LEFT, WebAssembly.Global<'i32'>>>;

/** @param wasm the bytes of QuickJS (`@jitl/quickjs-wasmfile-release-sync/wasm`) */
export async function openInterpreter(wasm: Uint8Array): Promise<(job: ProgramJob) => Promise<ProgramResult>> {
  const module = await WebAssembly.compile(metered(wasm));
  return ({ program, input, limits }) => runOnce(module, program, input, limits);
}

async function runOnce(
  module: WebAssembly.Module,
  program: string,
  input: string,
  limits: ProgramLimits,
): Promise<ProgramResult> {
  const memory = limitedMemory(limits.memory_bytes);
  const { context, meters } = await openContext(module, memory.memory);
  const call = context.unwrapResult(context.evalCode(PRELUDE));
  const given = [context.newString(program), context.newString(input)];
  meters[STEPS_LEFT].value = limits.steps;
  meters[STACK_LEFT].value = STACK_WORDS;
  const steps = (): number => limits.steps - meters[STEPS_LEFT].value;
  let said: string | null = null;
  try {
    const answer = context.callFunction(call, context.undefined, ...given);
    if (!answer.error) said = context.getString(answer.value);
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) {
      throw error; // the engine's own stack or memory: no verdict
    }
    if (meters[STEPS_LEFT].value < 0) return { kind: 'out-of-steps', steps: limits.steps };
    if (meters[STACK_LEFT].value < 0) return { kind: 'out-of-stack', steps: steps() };
  }
  if (memory.short) throw new RangeError('this device has less memory than the run may use');
  if (said?.startsWith('v')) {
    const output = said.slice(1);
    if (new TextEncoder().encode(output).length > limits.output_bytes)
      return { kind: 'too-much-output', steps: steps() };
    return { kind: 'value', value: JSON.parse(output), steps: steps() };
  }
  const message = said?.slice(1, MESSAGE_LENGTH + 1) ?? 'it threw what has no words';
  if (memory.refused || message === 'InternalError: out of memory') return { kind: 'out-of-memory', steps: steps() };
  return { kind: 'error', message, steps: steps() };
}

async function openContext(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<{ context: QuickJSContext; meters: Meters }> {
  let meters: Meters | null = null;
  // Its types are those of its CommonJS build, which has the variant under `default`.
  const variant = newVariant(base as unknown as QuickJSSyncVariant, {
    wasmMemory: memory,
    emscriptenModule: {
      instantiateWasm(imports, onSuccess) {
        const instance = new WebAssembly.Instance(module, { a: { ...imports.a, ...sameEverywhere(memory) } });
        meters = instance.exports as unknown as Meters;
        onSuccess(instance);
        return instance.exports;
      },
    },
  });
  const quickjs = await newQuickJSWASMModuleFromVariant(variant);
  const runtime = quickjs.newRuntime({ maxStackSizeBytes: QUICKJS_STACK_BYTES });
  const context = runtime.newContext({ intrinsics: { ...DefaultIntrinsics, Date: false } });
  return { context, meters: meters! };
}

/**
 * What the module asks of its surroundings, under the names that this build gives WASI's environ_sizes_get, environ_get and Emscripten's clock: there is
 * no environment, whose language and paths would lie in memory and have the allocator take other steps, and it is always 1970. (A test in two engines
 * finds a build with other names.)
 */
const sameEverywhere = (memory: WebAssembly.Memory): WebAssembly.ModuleImports => ({
  f(count: number, size_bytes: number) {
    const words = new Uint32Array(memory.buffer);
    words[count / 4] = words[size_bytes / 4] = 0;
    return 0;
  },
  e: () => 0,
  p: () => 0,
});

/** Memory that grows up to a limit. QuickJS's own counts in this build how many pieces are taken, not how large they are. */
function limitedMemory(most_bytes: number) {
  const maximum = Math.floor(most_bytes / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: LEAST_MEMORY_BYTES / PAGE_BYTES, maximum });
  const grow = memory.grow.bind(memory);
  const limited = {
    memory,
    /** Whether the last request was above the limit. */ refused: false,
    /** Whether this device had less than the limit. */ short: false,
  };
  memory.grow = (pages) => {
    limited.refused = memory.buffer.byteLength / PAGE_BYTES + pages > maximum;
    try {
      return grow(pages);
    } catch (error) {
      limited.short ||= !limited.refused;
      throw error;
    }
  };
  return limited;
}

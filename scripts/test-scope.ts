// Loaded before each test file by scripts/test.ts: node:test learns which test is running from AsyncLocalStorage, not from a hook on every promise.
import hooks from 'node:async_hooks';

/**
 * node:test notes for each promise and timer of a process whose it is, with a hook at its creation and one at its end. That took a third of the
 * processor time of tests with many promises. It asks only which test runs here, which V8 hands on with each promise anyway.
 */
const { AsyncLocalStorage, AsyncResource, createHook, executionAsyncId } = hooks;
const running = new AsyncLocalStorage<number>();
let noted: hooks.HookCallbacks['init'];

/** What every test is. */
class Resource extends AsyncResource {
  constructor(type: string, options?: number | hooks.AsyncResourceOptions) {
    super(type, options);
    noted?.(this.asyncId(), type, this.triggerAsyncId(), this);
  }

  override runInAsyncScope<This, Result>(
    fn: (this: This, ...args: unknown[]) => Result,
    thisArg: This,
    ...args: unknown[]
  ): Result {
    return super.runInAsyncScope(() => running.run(this.asyncId(), () => Reflect.apply(fn, thisArg, args)));
  }
}

/** A hook that is none: one without callbacks would still be called by each promise. */
const none = { enable: () => none, disable: () => none };

const [, file] = process.argv;
// Workers and forked processes of a test are given the same flags.
if (file && /\.test\.(ts|mjs)$/.test(file)) {
  Object.assign(hooks, {
    AsyncResource: Resource,
    executionAsyncId: () => running.getStore() ?? executionAsyncId(),
    createHook({ init }: hooks.HookCallbacks) {
      noted = init;
      return none;
    },
  });
  await import('node:test');
  // What node:test has taken is its own from now on.
  Object.assign(hooks, { AsyncResource, executionAsyncId, createHook });
}

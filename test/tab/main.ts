// What the tests of the tab call in the page: the tab's own functions, and the runtimes by themselves.
import '../../src/web/tab/no-eval.ts';
import * as api from '../../src/web/tab/api.ts';
import * as keys from '../../src/web/tab/keys.ts';

Object.assign(globalThis, { potluck: { ...api, ...keys } });

// Programs, kind and hostile, and how each must end: on every device with the same value after the same number of steps.
import type { ProgramLimits, ProgramResult } from '../program.ts';

export interface ProgramCase {
  readonly what: string;
  readonly program: string;
  readonly input?: unknown;
  readonly limits?: Partial<ProgramLimits>;
  readonly ends: ProgramResult['kind'];
  /** The value as JSON, or the message. */
  readonly says?: RegExp;
}

const MATH = `(xs) => xs.map((x) => Object.getOwnPropertyNames(Math).sort().filter((name) => typeof Math[name] === 'function')
  .map((name) => name === 'sumPrecise' ? 0 : String(Math[name](x, 1.7))).join())`;
const NAN_BITS =
  '() => globalThis.Float64Array === undefined && globalThis.Float32Array === undefined && globalThis.DataView === undefined';

export const PROGRAM_CASES: readonly ProgramCase[] = [
  {
    what: 'a function of its input',
    program: '(xs) => xs.map((x) => x * x)',
    input: [1, 2, 3],
    ends: 'value',
    says: /^\[1,4,9\]$/,
  },
  {
    ...{ what: 'every function of Math', program: MATH, ends: 'value' },
    ...{ input: [0.1, -0.3, 1e-9, 2.5, 1e22, 710, -1e300], says: /0\.09983341664682815/ },
  },
  {
    ...{ what: 'numbers as text, sorting, keys, Unicode', ends: 'value' },
    program: `() => [1e21, 5e-324, (0.1).toFixed(20), (255.5).toString(7), ['ä', 'a', 'z', 10, 9].sort(), Object.keys({ b: 1, 2: 1, a: 1, 1: 1 }),
      'ǆ'.toLocaleUpperCase(), 'a\\u0308'.normalize(), 'ä'.localeCompare('z'), (1234.5).toLocaleString(), 7n ** 99n + '']`,
  },
  {
    ...{ what: 'no clock, no randomness, no way out', ends: 'value', says: /^"(undefined )+"$/ },
    program: `() => ['Date', 'performance', 'console', 'process', 'require', 'fetch', 'setTimeout', 'WebAssembly', 'navigator', 'self', 'Intl', 'std', 'os', 'gc']
      .map((name) => typeof globalThis[name] + ' ').join('') + typeof Math.random + ' '`,
  },
  { what: 'no bits of a NaN', program: NAN_BITS, ends: 'value', says: /^true$/ },
  {
    what: 'code from text stays inside',
    program: `() => (function () {}).constructor('return typeof process')()`,
    ends: 'value',
    says: /undefined/,
  },
  {
    what: 'a module',
    program: `() => { import('node:fs').then(() => { globalThis.out = 1; }); return globalThis.out ?? null; }`,
    ends: 'value',
    says: /^null$/,
  },
  { what: 'its caller', program: '(function f() { return f.caller.arguments; })', ends: 'error' },
  {
    what: 'waiting',
    program: '() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1e9)',
    ends: 'error',
  },
  {
    ...{ what: 'what the sandbox itself uses, replaced', ends: 'value', says: /^\[1,"\{"\]$/ },
    program: `JSON.stringify = JSON.parse = String = globalThis.eval = TypeError = () => '{'; (x) => [x, eval()]`,
    input: 1,
  },
  {
    what: 'a prototype in its output',
    program: `() => JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}')`,
    ends: 'value',
  },
  {
    what: 'a prototype in its input',
    program: '(x) => [Object.keys(x), x.polluted ?? null, {}.polluted ?? null]',
    input: JSON.parse('{"__proto__":{"polluted":1}}'),
    ends: 'value',
    says: /^\[\["__proto__"\],null,null\]$/,
  },
  { what: 'a text that is no program', program: '(', ends: 'error', says: /^SyntaxError/ },
  {
    what: 'a text that closes what is around it',
    program: `'); globalThis.x = 1; ('`,
    ends: 'error',
    says: /function, got string/,
  },
  {
    what: 'a value that is no function',
    program: '5',
    ends: 'error',
    says: /expected the value of the program to be a function, got number/,
  },
  {
    what: 'a text that is too long',
    program: `() => 1${' '.repeat(1 << 18)}`,
    ends: 'error',
    says: /at most 262144 characters/,
  },
  {
    what: 'its own error',
    program: '() => { throw new RangeError("mine") }',
    ends: 'error',
    says: /^RangeError: mine$/,
  },
  {
    what: 'an error without words',
    program: '() => { throw { toString() { throw 1 } } }',
    ends: 'error',
    says: /no words/,
  },
  {
    what: 'an endless error',
    program: '() => { throw { toString() { for (;;); } } }',
    limits: { steps: 10_000_000 },
    ends: 'out-of-steps',
  },
  { what: 'an error as long as a book', program: '() => { throw "x".repeat(1e6) }', ends: 'error', says: /^x{500}$/ },
  { what: 'no value', program: '() => undefined', ends: 'error', says: /expected a JSON value/ },
  { what: 'a function as value', program: '() => () => 1', ends: 'error', says: /expected a JSON value/ },
  { what: 'a number that JSON lacks', program: '() => 10n', ends: 'error', says: /BigInt/ },
  { what: 'a ring', program: '() => { const a = []; a.push(a); return a }', ends: 'error', says: /circular/ },
  { what: 'a loop', program: '() => { for (;;); }', limits: { steps: 10_000_000 }, ends: 'out-of-steps' },
  {
    what: 'a loop that catches everything',
    program: '() => { for (;;) try { for (;;); } catch {} finally { continue } }',
    limits: { steps: 10_000_000 },
    ends: 'out-of-steps',
  },
  { what: 'a loop while it is read', program: 'for (;;);', limits: { steps: 10_000_000 }, ends: 'out-of-steps' },
  {
    what: 'a regular expression that backtracks',
    program: '() => /(a+)+b/.test("a".repeat(40))',
    limits: { steps: 10_000_000 },
    ends: 'out-of-steps',
  },
  {
    what: 'a long search in one call',
    program: '() => "a".repeat(1e6).indexOf("a".repeat(5e5) + "b")',
    limits: { steps: 10_000_000 },
    ends: 'out-of-steps',
  },
  {
    what: 'memory filled and copied in one call',
    program: '() => { const a = new Uint8Array(8e6); for (;;) a.fill(1).copyWithin(0, 1) }',
    limits: { steps: 10_000_000 },
    ends: 'out-of-steps',
  },
  {
    what: 'large numbers',
    program: '() => { let x = 3n; for (;;) x = x * x % (1n << 900000n) }',
    limits: { steps: 10_000_000 },
    ends: 'out-of-steps',
  },
  {
    what: 'pieces of memory without end',
    program: '() => { const all = []; for (;;) all.push("x".repeat(1e6) + all.length) }',
    ends: 'out-of-memory',
  },
  {
    ...{ what: 'so many small pieces that none is left for an error', ends: 'out-of-memory' },
    program: '() => { const all = []; for (;;) all.push({ x: 1 }) }',
    limits: { memory_bytes: 1 << 24 },
  },
  { what: 'one piece of memory', program: '() => new Uint8Array(2 ** 31 - 1).length', ends: 'out-of-memory' },
  { what: 'calls inside calls', program: '(function f() { return f() + 1 })', ends: 'out-of-stack' },
  {
    what: 'calls inside calls that are caught',
    program: '(function f() { try { return f() + 1 } catch { return 1 } })',
    ends: 'out-of-stack',
  },
  { what: 'a text inside itself', program: `${'('.repeat(50_000)}1${')'.repeat(50_000)}`, ends: 'out-of-stack' },
  {
    what: 'arrays inside arrays as text',
    program: '() => { let a = []; for (let i = 0; i < 1e4; i++) a = [a]; return a }',
    ends: 'out-of-stack',
  },
  {
    what: 'recursion of a usual depth',
    program: '(n) => { const f = (n) => (n ? 1 + f(n - 1) : 0); return f(n) }',
    input: 400,
    ends: 'value',
    says: /^400$/,
  },
  { what: 'a long output', program: '() => "ä".repeat(40000)', ends: 'too-much-output' },
];

// The fast word on a body's form is zod's own: whatever it takes, zod takes as it is, and what logs hold most it does take.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { EventBodySchema, hasForm } from './events.ts';
import { fitsOf } from './form.ts';

const hash = 'a'.repeat(64);
const run = { run: hash, round: 3, attempt: 0 };
const head = { size: 5, root: hash, signature: 'b'.repeat(128) };
const BODIES = [
  { type: 'tick', version: 1, time_ms: 5 },
  { type: 'peer.joined', version: 1, run: hash, session: 0, role: 'worker', name: 'a', runtime: 'native' },
  { type: 'round.opened', version: 1, ...run },
  { type: 'round.drawn', version: 1, ...run, proof: '0'.repeat(160) },
  {
    ...{ type: 'work.submitted', version: 2, ...run, base: hash, work: hash, size_bytes: 1, amount: 7 },
    ...{ stage: 1, numbers: { steps: 30, loss_micro: -3 }, pledge: hash, seen_ms: 4, seen_head: head },
  },
  { type: 'verdict.sealed', version: 1, run: hash, submission: hash, appeal: true, seal: hash, seen_head: head },
  {
    ...{ type: 'verdict.given', version: 2, run: hash, submission: hash, contest: 2, salt: hash, accepted: true },
    ...{ fraud: false, code: 'ok', weight: 3, score_micro: -1, numbers: {}, evidence: hash },
  },
  {
    ...{ type: 'round.merged', version: 2, ...run, accepted_count: 0, accepted_root: hash, model: hash },
    ...{ bundle: null, checkpoint: false },
  },
] as const;

type Plain = Record<string, unknown>;
const agrees = (body: Plain): boolean => {
  const parsed = EventBodySchema.safeParse(body);
  const fits = hasForm(body as Plain & { type: string });
  if (fits) assert.deepEqual(parsed.success && parsed.data, body);
  return fits === parsed.success;
};

test('bodies that logs hold most are taken without zod', () => {
  for (const body of BODIES) assert.ok(agrees(body) && hasForm(body), body.type);
});

test('wherever a body is changed, zod and the fast word say the same', () => {
  const odd = fc.constantFrom<unknown>(
    ...[undefined, null, true, false, -1, 0, 1, 2, 3, 1.5, 2 ** 53, -(2 ** 53), 1e11, 1e11 + 1, Number.NaN],
    ...['', 'a', 'A'.repeat(64), 'a'.repeat(63), 'a'.repeat(65), hash, '0'.repeat(160), 'b'.repeat(128), `${hash}\n`],
    ...['worker', 'judge', 'a\nb', 'é'.repeat(60), 'a'.repeat(41), 'a'.repeat(61)],
    ...[[], {}, [1], { steps: 1 }, { Steps: 1 }, { steps: 1.5 }, { steps: '1' }, head, { ...head, size: -1 }],
    new Uint8Array(3),
  );
  const change = fc.record({ which: fc.nat(BODIES.length - 1), field: fc.nat(30), value: odd, deep: fc.boolean() });
  fc.assert(
    fc.property(change, ({ which, field, value, deep }) => {
      const body: Plain = structuredClone(BODIES[which]) as Plain;
      const names = [...Object.keys(body), 'appeal', 'contest', 'seen_ms', 'step', 'other'];
      const name = names[field % names.length];
      const inner = body[name];
      const isMap = typeof inner === 'object' && inner !== null;
      if (deep && isMap) (inner as Plain)[Object.keys(inner)[0] ?? 'steps'] = value;
      else if (value === undefined) delete body[name];
      else body[name] = value;
      assert.ok(name === 'type' || agrees(body), `${name} of ${BODIES[which].type}`);
    }),
    { numRuns: 5000 },
  );
});

test('what is not known here is left to zod', () => {
  const plain = z.strictObject({ a: z.int() });
  const unknown = [
    ...[z.object({ a: z.int() }), z.looseObject({ a: z.int() }), z.number(), z.bigint(), z.array(z.int()), z.email()],
    ...[z.string().trim(), z.string().refine((text) => text !== ''), plain.refine(() => false), z.int().default(3)],
    ...[z.string().regex(/a/g), z.int().multipleOf(2), z.union([z.int(), z.string()]), z.strictObject({ a: z.date() })],
    ...[z.record(z.string(), z.number()), z.nullable(z.number()), z.int().transform((value) => value + 1), z.uuid()],
  ];
  for (const schema of unknown) assert.equal(fitsOf(schema), null, JSON.stringify(schema._zod.def));
  assert.ok(fitsOf(plain)?.({ a: 1 }));
});

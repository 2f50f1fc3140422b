// What every Drawer must do, whatever it is made of. Called from the test file of each implementation.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Drawer } from '../drawer.ts';

export interface DrawerUnderTest {
  /** A new and empty one. */
  readonly drawer: Drawer;
  /** Cuts the machine's power now; the drawer as whoever starts it again finds it. Absent where nothing outlives the process. */
  powerCut?(): Promise<Drawer>;
}

const NAMES = ['thing', 'other'] as const;
type Contents = ReadonlyMap<string, Uint8Array | null>;

/** Calls on a drawer; null: delete. */
const calls = fc.array(
  fc.tuple(fc.constantFrom(...NAMES), fc.option(fc.uint8Array({ maxLength: 40 }), { freq: 3 }), fc.boolean()),
  { maxLength: 8 },
);

const change = (drawer: Drawer, name: string, bytes: Uint8Array | null): Promise<void> =>
  bytes ? drawer.put(name, bytes) : drawer.delete(name);

async function contentsOf(drawer: Drawer): Promise<Contents> {
  const contents = new Map<string, Uint8Array | null>();
  for (const name of NAMES) contents.set(name, await drawer.get(name));
  return contents;
}

/** @param open the test file removes what it leaves behind */
export function drawerCompliance(kind: string, open: () => Promise<DrawerUnderTest>, runs = 20): void {
  test(`${kind}: has what was put last, empty pieces too, and nothing where nothing was put`, async () => {
    const { drawer } = await open();
    assert.equal(await drawer.get('thing'), null);
    await drawer.delete('thing');
    await drawer.put('thing', Uint8Array.of(1, 2, 3));
    await drawer.put('thing', Uint8Array.of(4, 5));
    await drawer.put('other', new Uint8Array(0));
    assert.deepEqual(await drawer.get('thing'), Uint8Array.of(4, 5));
    assert.deepEqual(await drawer.get('other'), new Uint8Array(0));
    await drawer.delete('thing');
    assert.equal(await drawer.get('thing'), null);
    assert.deepEqual(await drawer.get('other'), new Uint8Array(0), 'one name is no other');
  });

  test(`${kind}: calls take effect in their order, whether they were waited for or not; what was resolved outlives a power cut`, async () => {
    await fc.assert(
      fc.asyncProperty(
        calls,
        fc.constantFrom(...NAMES),
        fc.uint8Array({ maxLength: 40 }),
        async (made, last, bytes) => {
          const { drawer, powerCut } = await open();
          const expected = new Map<string, Uint8Array | null>(NAMES.map((name) => [name, null]));
          const pending: Promise<void>[] = [];
          for (const [name, value, waited] of made) {
            expected.set(name, value);
            pending.push(change(drawer, name, value));
            if (waited) await pending.at(-1);
          }
          await Promise.all(pending);
          assert.deepEqual(await contentsOf(drawer), expected);
          if (!powerCut) return;
          // Cut short, a call has happened wholly or not at all, and nothing else has.
          void drawer.put(last, bytes);
          const found = await contentsOf(await powerCut());
          if (found.get(last) !== null && Buffer.compare(found.get(last)!, bytes) === 0) expected.set(last, bytes);
          assert.deepEqual(found, expected);
        },
      ),
      { numRuns: runs },
    );
  });
}

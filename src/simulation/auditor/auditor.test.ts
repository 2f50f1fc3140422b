// The auditor is worth something only as long as it knows nothing of the code that it checks, and agrees with it about everything drawn.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { apply } from '../../core/reduce.ts';
import { initialState } from '../../core/state.ts';
import { openCast } from '../../core/testing/cast.ts';
import { drawEvents } from '../../core/testing/drawn-events.ts';
import { playDrawn, playRegistry } from '../drawn-history.ts';
import { Auditor } from './auditor.ts';
import { difference } from './compare.ts';

/** Histories of rules alone in a run of all tests; `npm run simulate` plays more. */
const DRAWN = 25;
const FOLLOWING = 8;

test('it imports nothing of the core but events, and the comparison the types of the state', () => {
  for (const file of readdirSync(import.meta.dirname).filter((name) => !name.includes('.test.'))) {
    const source = readFileSync(join(import.meta.dirname, file), 'utf8');
    const imports = [...source.matchAll(/(?:import|export) (type )?[^;]*?from '([^']+)'/g)];
    assert.equal(imports.length, source.split(/^(?:import|export [^;=(]*? from) /m).length - 1, file);
    for (const [whole, type, from] of imports) {
      const own = from.startsWith('./');
      const ground = /^\.\.\/\.\.\/(protocol|ledger)\//.test(from);
      // Of events only what they look like: their files also say when they may follow.
      const events =
        (type !== undefined && /^\.\.\/\.\.\/core\/events(\.ts|\/)/.test(from)) ||
        from === '../../core/events/device-certificate.ts';
      const state = file === 'compare.ts' && type !== undefined && from === '../../core/state.ts';
      assert.ok(own || ground || events || state, `${file}: ${whole}`);
    }
    assert.doesNotMatch(source, /import\(/, file);
  }
});

test('drawn histories: core and auditor agree what may follow and what comes of it', async () => {
  for (let seed = 1; seed <= DRAWN; seed++) assert.equal(await playDrawn(seed), null, `seed ${seed}`);
});

test('drawn histories of a log that follows a registry: core and auditor agree', async () => {
  for (let seed = 1; seed <= FOLLOWING; seed++) assert.equal(await playRegistry(seed), null, `seed ${seed}`);
});

test('one share more, one judge less, one millisecond later are told', async () => {
  const cast = await openCast();
  const state = initialState(cast.hub);
  const auditor = new Auditor(cast.hub);
  const next = drawEvents(cast, state, 2);
  const open = () => [...state.runs.values()].find((run) => run.submissions.size > 0 && run.shares.size > 0);
  while (!open()) {
    const event = next();
    if (apply(state, event) === null) auditor.follow(event);
  }
  const run = open()!;
  assert.equal(difference(state, auditor.books), null);
  const [account, held] = [...run.shares][0];
  run.shares.set(account, held + 1);
  assert.match(difference(state, auditor.books)!, /shares is/);
  run.shares.set(account, held);
  run.deadline_ms++;
  assert.match(difference(state, auditor.books)!, /deadline_ms is/);
  run.deadline_ms--;
  const [submission] = run.submissions.values();
  submission.judges = [...submission.judges, account];
  assert.match(difference(state, auditor.books)!, /works is/);
});

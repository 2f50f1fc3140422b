// A device finds the nearest process of its hub, and another when that one dies; where a hub sends it is checked.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { chooseFront, type FrontsOptions, type KnownFront, mayGoTo, openFronts } from './fronts.ts';

const front = (url: string, rtt_ms: number | null, failed_ms: number | null = null): KnownFront => ({
  url,
  rtt_ms,
  failed_ms,
});
const chosen = (known: readonly KnownFront[], now_ms = 100_000): string[] => {
  const urls = [0, 0.3, 0.6, 0.99].map((chance) => chooseFront(known, now_ms, () => chance).url);
  return [...new Set(urls)];
};

test('the nearest is chosen; of those that are as near, any', () => {
  assert.deepEqual(chosen([front('far', 90), front('near', 20), front('as near', 24)]), ['near', 'as near']);
  assert.deepEqual(chosen([front('a', 1), front('b', 3.5), front('c', 4.5)]), ['a', 'b'], 'a millisecond says nothing');
  assert.deepEqual(chosen([front('unknown', null), front('far', 500)]), ['far']);
  assert.deepEqual(chosen([front('named', null), front('other', null)]), ['named']);
});

test('one that was just found dead is avoided, while there are others', () => {
  assert.deepEqual(chosen([front('near', 20, 90_000), front('far', 90)]), ['far']);
  assert.deepEqual(chosen([front('near', 20, 60_000), front('far', 90)]), ['near'], 'it may have come back');
  assert.deepEqual(chosen([front('a', 20, 99_000), front('b', 90, 98_000)]), ['b'], 'all are dead: the first of them');
  assert.deepEqual(chosen([front('only', null, 99_999)]), ['only']);
});

test('a hub sends nobody to a weaker address, or into networks that its owner did not name', () => {
  const cases: [to: string, named: string, expected: boolean][] = [
    ['https://eu.hub.example', 'https://hub.example', true],
    ['http://eu.hub.example', 'http://hub.example', true],
    ['http://eu.hub.example', 'https://hub.example', false],
    ['https://eu.hub.example', 'http://hub.example', true],
    ['http://127.0.0.1:1', 'http://localhost:2', true],
    ['http://127.0.0.1:1', 'http://hub.example', false],
    ['http://192.168.1.1', 'http://hub.example', false],
    ['http://10.0.0.1', 'http://10.0.0.2', true],
    ['http://172.20.0.1', 'http://hub.example', false],
    ['http://169.254.169.254', 'http://hub.example', false],
    ['http://[::1]:1', 'http://hub.example', false],
    ['http://[fe80::1]', 'http://hub.example', false],
    ['http://[::ffff:127.0.0.1]', 'http://hub.example', false],
    ['http://router.local', 'http://hub.example', false],
    ['http://me:secret@eu.hub.example', 'http://hub.example', false],
    ['http://eu.hub.example/?a=b', 'http://hub.example', false],
    ['ftp://eu.hub.example', 'http://hub.example', false],
    ['nonsense', 'http://hub.example', false],
  ];
  for (const [to, named, expected] of cases) assert.equal(mayGoTo(to, named), expected, `${to} from ${named}`);
});

/** A hub of these processes, each with its way in ms; null: dead. */
function hubOf(ways: Record<string, number | null>, fronts: unknown = undefined) {
  const clock = handClock();
  const asked: string[] = [];
  const ask: FrontsOptions['ask'] = async (url, path) => {
    asked.push(`${url}${path}`);
    const way_ms = ways[url] ?? null;
    await new Promise<void>((resolve) => clock.setTimeout(resolve, way_ms ?? 2000));
    if (way_ms === null) throw new Error('no answer');
    const list =
      fronts !== undefined ? fronts : { fronts: Object.keys(ways).map((one) => ({ url: one, region: null })) };
    return { ok: true, status: 200, json: path === '/fronts' ? list : {} };
  };
  const [url] = Object.keys(ways);
  return { clock, asked, ways, fronts: openFronts({ url, clock, random: () => 0, ask }) };
}

test('a device measures its way to each, and goes on to the next when one dies', async () => {
  const { clock, ways, fronts, asked } = hubOf({
    'http://a.example': 80,
    'http://b.example': 10,
    'http://c.example': 30,
  });
  assert.deepEqual([fronts.url, fronts.several], ['http://a.example', false]);
  await clock.run(fronts.measure());
  assert.deepEqual([fronts.choose(), fronts.several], ['http://b.example', true]);
  ways['http://b.example'] = null;
  fronts.failed();
  assert.equal(fronts.choose(), 'http://c.example');
  ways['http://c.example'] = null;
  fronts.failed();
  assert.equal(fronts.choose(), 'http://a.example');
  assert.equal(fronts.url, 'http://a.example');
  const before = asked.length;
  await clock.run(fronts.measure());
  assert.equal(asked.length, before, 'it was just measured');
  await clock.pass(60_000);
  await clock.run(fronts.measure());
  assert.equal(fronts.choose(), 'http://a.example', 'the others do not answer');
});

test('a hub without /fronts, with one, or with nonsense is where it was', async () => {
  for (const list of [
    null,
    {},
    { fronts: [] },
    { fronts: [{ url: 'http://b.example', region: null }] },
    { fronts: 3 },
  ]) {
    const { clock, fronts } = hubOf({ 'http://a.example': 1, 'http://b.example': 1 }, list);
    await clock.run(fronts.measure());
    assert.deepEqual([fronts.choose(), fronts.several], ['http://a.example', false], JSON.stringify(list));
    fronts.failed();
    assert.equal(fronts.choose(), 'http://a.example');
  }
});

test('what is known stays when the process that is asked is dead', async () => {
  const { clock, ways, fronts } = hubOf({ 'http://a.example': 5, 'http://b.example': 50 });
  await clock.run(fronts.measure());
  assert.equal(fronts.choose(), 'http://a.example');
  ways['http://a.example'] = null;
  await clock.pass(61_000);
  await clock.run(fronts.measure());
  fronts.failed();
  assert.equal(fronts.choose(), 'http://b.example');
});

// The bad way does what it is told, and no more: what is refused has not reached the store, what loses its answer has, and what is passed on is untouched.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openS3 } from '../ledger/s3/client.ts';
import { startS3Double } from '../ledger/testing/s3-double.ts';
import { FAIR, openBadWay, type Weather } from './bad-way.ts';

async function opened(t: TestContext) {
  const double = await startS3Double();
  const { url, bucket, access_key_id, secret_access_key } = double;
  const way = await openBadWay({ url: `${url}/${bucket}`, access_key_id, secret_access_key });
  t.after(async () => {
    await way.close();
    await double.stop();
  });
  /** What comes of a creation, and of its object. */
  const one = async (weather: Partial<Weather>, key: string): Promise<string> => {
    const before = double.objects.size;
    way.turn({ ...FAIR, ...weather });
    const [{ status }] = await Promise.allSettled([openS3(way.place).create(key, Buffer.from(key))]);
    return `${status}, ${double.objects.size - before} there`;
  };
  return { double, way, one };
}

test('what is told happens to a creation', async (t) => {
  const { double, way, one } = await opened(t);
  assert.equal(await one({ refused_percent: 100 }, 'refused'), 'rejected, 0 there');
  assert.equal(await one({ conflict_percent: 100 }, 'conflict'), 'rejected, 0 there');
  assert.equal(await one({ lost_percent: 100 }, 'lost'), 'rejected, 1 there');
  const before = double.requests.get('PUT')!;
  assert.equal(await one({ twice_percent: 100 }, 'twice'), 'fulfilled, 1 there');
  assert.equal(double.requests.get('PUT')! - before, 2);
  for (const kind of ['refused', 'conflict', 'lost', 'twice'] as const) assert.ok(way.counts[kind] > 0, kind);
});

test('a PUT waits as long as it is told to, and what is read does not', async (t) => {
  const { way } = await opened(t);
  const s3 = openS3(way.place);
  way.turn({ ...FAIR, put_ms: 300 });
  const begun_ms = performance.now();
  await s3.put('slow', Buffer.from('bytes'));
  const put_ms = performance.now() - begun_ms;
  assert.ok(put_ms >= 299, `${put_ms} ms`);
  way.turn({ ...FAIR, lost_percent: 100, twice_percent: 100, conflict_percent: 100 });
  assert.deepEqual(Buffer.from((await s3.get('slow'))!), Buffer.from('bytes'));
});

// Packing over HTTP: what a reader takes, with its qualities; small and incompressible bytes go as they are; what was packed is kept.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { openPacker, packedFor, packingFor } from './packing.ts';

test('the packing that is taken', () => {
  const cases: [string | undefined, 'br' | 'gzip' | null][] = [
    [undefined, null],
    ['', null],
    ['identity', null],
    ['gzip', 'gzip'],
    ['gzip, deflate, br', 'br'],
    ['GZIP;q=0.5', 'gzip'],
    ['br;q=0, gzip;q=1.0', 'gzip'],
    ['*', 'br'],
    ['*;q=0', null],
    ['br;q=0, *', 'gzip'],
  ];
  for (const [accepted, packing] of cases) assert.equal(packingFor(accepted), packing, accepted);
});

test('many who ask at once share one packing; what is not worth it is read no second time', async () => {
  const pack = openPacker();
  let reads = 0;
  const text = async () => {
    reads++;
    return Buffer.from('one event like the other, '.repeat(200));
  };
  const all = await Promise.all(Array.from({ length: 20 }, () => pack('a', 'gzip', text)));
  assert.equal(reads, 1);
  assert.ok(all.every((packed) => packed !== null && packed === all[0]));
  const noise = randomBytes(4000);
  for (let i = 0; i < 3; i++) {
    const packed = await pack('b', 'gzip', async () => {
      reads++;
      return noise;
    });
    assert.equal(packed, null);
  }
  assert.equal(reads, 2);
  await assert.rejects(
    pack('c', 'gzip', () => Promise.reject(new Error('damaged'))),
    /damaged/,
  );
  assert.ok(await pack('c', 'gzip', text), 'a failure is not kept');
});

test('where much is to be packed, what comes then goes as it is, and is packed when there is room', async () => {
  const pack = openPacker();
  let reads = 0;
  const text = async () => {
    reads++;
    return Buffer.from('one event like the other, '.repeat(2000));
  };
  const many = Array.from({ length: 200 }, (_, i) => pack(`${i}`, i % 2 ? 'br' : 'gzip', text));
  const packed = (await Promise.all(many)).filter((bytes) => bytes !== null);
  assert.deepEqual([packed.length, reads], [8, 8], 'the others are not even read');
  assert.ok(await pack('199', 'br', text));
});

test('entries shrink, random bytes go as they are', async () => {
  const packer = openPacker();
  const pack = (name: string, bytes: Uint8Array, accepted: string) => packedFor(packer, name, bytes, accepted);
  const text = Buffer.from('one event like the other, '.repeat(200));
  const br = await pack('a', text, 'br');
  assert.equal(br.headers['content-encoding'], 'br');
  assert.ok(br.bytes.length < text.length / 5);
  assert.deepEqual(brotliDecompressSync(br.bytes), text);
  assert.equal((await pack('a', text, 'br')).bytes, br.bytes, 'packed once');
  assert.deepEqual(gunzipSync((await pack('a', text, 'gzip')).bytes), text);
  const random = randomBytes(4000);
  const plain = await pack('b', random, 'br');
  assert.deepEqual([plain.bytes, plain.headers], [random, { vary: 'accept-encoding' }]);
  assert.equal((await pack('c', Buffer.from('short'), 'br')).headers['content-encoding'], undefined);
});

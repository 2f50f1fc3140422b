// Signatures: the examples of AWS's documentation of Signature Version 4, and that the key of a day is the key of that day only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_SHA256, openSigner } from './signature.ts';

const signer = openSigner({
  access_key_id: 'AKIAIOSFODNN7EXAMPLE',
  secret_access_key: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  region: 'us-east-1',
});
const time_ms = Date.UTC(2013, 4, 24);
const host = 'examplebucket.s3.amazonaws.com';
const base = { method: 'GET', host, path: '/', query: {}, headers: {}, time_ms };

test('the examples of the documentation: GET with a range, PUT, a setting, a list', () => {
  const signed = (request: Partial<typeof base>, payload = EMPTY_SHA256): string =>
    signer.sign({ ...base, ...request }, payload).headers.authorization.split('Signature=')[1];
  assert.equal(
    signed({ path: '/test.txt', headers: { range: 'bytes=0-9' } }),
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  );
  const put = { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' };
  assert.equal(
    signed(
      { method: 'PUT', path: '/test%24file.text', headers: put },
      '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
    ),
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  );
  assert.equal(
    signed({ query: { lifecycle: '' } }),
    'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  );
  assert.equal(
    signed({ query: { 'max-keys': '2', prefix: 'J' } }),
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  );
});

test('the example of a presigned address', () => {
  const url = signer.presign({ ...base, path: '/test.txt' }, 86_400);
  assert.equal(
    url,
    '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
      '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
      '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  );
});

test('the cached key is that of its day: another day in between changes nothing', () => {
  const first = signer.presign(base, 60);
  signer.presign({ ...base, time_ms: time_ms + 86_400_000 }, 60);
  assert.equal(signer.presign(base, 60), first);
});

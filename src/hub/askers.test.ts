// Whom a request is counted under, in every form in which proxies write it; nobody who can be slowed gets past by how they write an address.
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import fc from 'fast-check';
import { type AskerOptions, comesFromHere, isOwnHost, openAskers, UNKNOWN_BEHIND_PROXY } from './askers.ts';

const request = (remoteAddress: string | undefined, forwarded?: string, more = {}): IncomingMessage => {
  const headers = forwarded === undefined ? more : { 'x-forwarded-for': forwarded, ...more };
  return { socket: { remoteAddress }, headers } as unknown as IncomingMessage;
};
const asks = (options: AskerOptions = {}) => {
  const addressOf = openAskers(options);
  return (remote: string | undefined, forwarded?: string) => addressOf(request(remote, forwarded));
};
const HERE = ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'];

test('who asks without a proxy is counted under its own address, whatever it says', () => {
  const asked = asks();
  assert.equal(asked('203.0.113.7'), '203.0.113.7');
  assert.equal(asked('::ffff:203.0.113.7'), '203.0.113.7');
  for (const said of ['198.51.100.1', '127.0.0.1', 'unknown', ''])
    assert.equal(asked('203.0.113.7', said), '203.0.113.7');
  assert.equal(asked('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2');
  assert.equal(asked('2001:DB8:1:2::9'), '2001:db8:1:2');
  assert.equal(asked('2001:db8::1'), '2001:db8:0:0');
  assert.equal(asked('fe80::1%eth0'), 'fe80:0:0:0');
  for (const here of HERE) assert.equal(asked(here), null, 'a program of this machine');
});

test("a proxy's word, in the forms that proxies write", () => {
  const asked = asks();
  for (const here of HERE) {
    for (const [said, address] of [
      ['203.0.113.9', '203.0.113.9'],
      ['203.0.113.9:5555', '203.0.113.9'],
      ['192.0.2.9, 203.0.113.9', '203.0.113.9'], // only the last was written by the proxy
      ['unknown, 203.0.113.9', '203.0.113.9'],
      ['2001:db8:1::1', '2001:db8:1:0'],
      ['[2001:db8:1::2]', '2001:db8:1:0'],
      ['[2001:db8:1::3]:443', '2001:db8:1:0'],
      ['"[2001:db8:1::3]:443"', '2001:db8:1:0'],
      ['::ffff:203.0.113.9', '203.0.113.9'],
      ['10.1.1.1', '10.1.1.1'],
      ['203.0.113.9, 127.0.0.1', '203.0.113.9'], // a second proxy of this machine
    ]) {
      assert.equal(asked(here, said), address, said);
    }
  }
});

test('what cannot be read is counted as one, and is never without limit', () => {
  for (const said of [
    'unknown',
    '_hidden',
    'nonsense',
    '203.0.113.9, unknown',
    '1.2.3',
    '[::1',
    '1.2.3.4:port',
    ',',
    '127.0.0.1',
    '[::1]:80',
  ]) {
    assert.equal(asks()('127.0.0.1', said), UNKNOWN_BEHIND_PROXY, said);
  }
  assert.equal(asks()(undefined), UNKNOWN_BEHIND_PROXY, 'a socket that is gone');
  // Where a proxy stands before the hub, one that says nothing is a proxy that forgot the header.
  assert.equal(asks({ proxied: true })('127.0.0.1'), UNKNOWN_BEHIND_PROXY);
  assert.equal(asks({ proxies: ['10.0.0.7'] })('10.0.0.7'), UNKNOWN_BEHIND_PROXY);
  assert.equal(asks({ proxies: ['10.0.0.7'] })('10.0.0.7', ''), UNKNOWN_BEHIND_PROXY);
  fc.assert(
    fc.property(fc.string(), (said) => {
      assert.notEqual(asks()('127.0.0.1', `x${said}`), null);
    }),
  );
});

test('only named proxies are believed', () => {
  const asked = asks({ proxies: ['10.0.0.0/8', '2001:db8::/32'] });
  assert.equal(asked('10.200.0.1', '203.0.113.9'), '203.0.113.9');
  assert.equal(asked('2001:db8:ffff::1', '203.0.113.9'), '203.0.113.9');
  assert.equal(asked('11.0.0.1', '203.0.113.9'), '11.0.0.1');
  assert.equal(asked('127.0.0.1', '203.0.113.9'), '127.0.0.1', 'this machine is none then');
  assert.equal(asked('10.0.0.1', '198.51.100.1, 203.0.113.9, 10.0.0.2'), '203.0.113.9', 'through two of them');
  for (const entry of ['proxy.example', '', '10.0.0.0/33', '10.0.0.0/8/8', '::1/129', '10.0.0.0/']) {
    assert.throws(() => openAskers({ proxies: [entry] }), { code: 'bad-proxy' }, entry);
  }
});

test('what is this machine', () => {
  for (const host of ['localhost', 'LOCALHOST', 'hub.localhost', '127.0.0.1', '127.1.2.3', '::1', '[::1]'])
    assert.ok(isOwnHost(host), host);
  for (const host of ['0.0.0.0', '::', '192.168.0.1', 'localhost.example', 'notlocalhost', '', '127.0.0.1.example']) {
    assert.ok(!isOwnHost(host), host);
  }
  for (const here of HERE) assert.ok(comesFromHere(request(here)), here);
  assert.ok(!comesFromHere(request('203.0.113.7')));
  for (const name of ['x-forwarded-for', 'forwarded', 'via'])
    assert.ok(!comesFromHere(request('127.0.0.1', undefined, { [name]: '' })), name);
});

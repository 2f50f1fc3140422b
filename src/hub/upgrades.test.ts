// Who gets a WebSocket and what others hear: a case a line.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../protocol/clock.ts';
import { openOrigins } from './origins.ts';
import { openRateLimits } from './rate-limits.ts';
import { refusalOfUpgrade } from './upgrades.ts';

describe('a request for a WebSocket', () => {
  const refused: string[] = [];
  const burst = { connection_address: { burst: 1, per_second: 0.1 } };
  const rates = openRateLimits({ ...systemClock, elapsed_ms: () => 0 }, burst);
  const ask = (url: string, headers: Record<string, string> = {}, address: string | null = null, count = 0) =>
    refusalOfUpgrade({ url, headers: { host: 'localhost:8080', ...headers } }, address, {
      ...{ most_connections: 2, count: () => count, rates, onRefused: (code: string) => void refused.push(code) },
      origins: openOrigins({ host: '127.0.0.1', public_url: null }),
    });
  const cases: [string, string | null, string | null][] = [
    ['gets one', ask('/ws'), null],
    ['whatever else its address says', ask('/ws?from=here'), null],
    ['only at its address', ask('/wss'), '404 Not Found'],
    ['not when there are too many', ask('/ws', {}, null, 2), '503 Service Unavailable'],
    ["not from somebody else's page", ask('/ws', { origin: 'http://elsewhere' }), '403 Forbidden'],
    ['not under a name that is not of this machine', ask('/ws', { host: 'elsewhere' }), '403 Forbidden'],
    ['from another address', ask('/ws', {}, '192.0.2.1'), null],
    ['not too often', ask('/ws', {}, '192.0.2.1'), '429 Too Many Requests\r\nretry-after: 10'],
  ];
  for (const [name, got, expected] of cases) test(name, () => assert.equal(got, expected));
  test('is counted by its code where it is refused by one', () =>
    assert.deepEqual(refused, ['wrong-origin', 'wrong-host', 'too-fast']));
});

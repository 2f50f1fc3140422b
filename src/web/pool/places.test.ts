// Regions on the map: codes are found with whatever follows them, and a stranger's word is not guessed at.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placeOf } from './places.ts';

test('a code is found, in capitals and with what providers append', () => {
  assert.deepEqual(placeOf('de'), { east: 10, north: 51 });
  for (const name of ['DE', 'de-2', 'de_1b', ' de ']) assert.deepEqual(placeOf(name), placeOf('de'), name);
  assert.deepEqual(placeOf('us-east-1a'), placeOf('us-east'));
  assert.notDeepEqual(placeOf('us-east'), placeOf('us-west-2'));
});

test('other words have no place', () => {
  for (const name of ['', 'home', 'desk', 'my-flat', 'at-work', 'no idea', '-', '-1', 'constructor'])
    assert.equal(placeOf(name), null, name);
});

test('every place is on the map', () => {
  for (const name of ['eu', 'us', 'sa', 'af', 'me', 'ap', 'oc', 'nz', 'is', 'cl']) {
    const { east, north } = placeOf(name)!;
    assert.ok(east > -170 && east < 180 && north > -56 && north < 78, name);
  }
});

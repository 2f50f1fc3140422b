// What commands print with --json is written down, and the page says what the schemas say. That processes keep to it: test/network.ts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { jsonDocs } from '../../scripts/json-page.ts';
import { JSON_OBJECTS, schemaOf } from './json-objects.ts';

const docs = (name: string): string => readFileSync(join(import.meta.dirname, '..', '..', 'docs', name), 'utf8');

test('docs/json.md and docs/json.schema.json are those of the schemas (node scripts/json-page.ts)', () => {
  const { page, schema } = jsonDocs();
  assert.equal(docs('json.md'), page);
  assert.equal(docs('json.schema.json'), schema);
  assert.equal(JSON.parse(schema).oneOf.length, Object.keys(JSON_OBJECTS).length);
});

test('each object is said by somebody, and its fields are in snake_case', () => {
  for (const [type, object] of Object.entries(JSON_OBJECTS)) {
    assert.ok(object.meta()?.description, type);
    for (const name of Object.keys(object.shape)) assert.match(name, /^[a-z][a-z0-9_]*$/, `${type}.${name}`);
  }
});

test('a field that is not written down, or a missing frame, does not pass', () => {
  const line = { type: 'revoked', version: 2, time_ms: 1, device: 'd' };
  assert.ok(schemaOf('revoked')!.safeParse(line).success);
  assert.ok(!schemaOf('revoked')!.safeParse({ ...line, more: 1 }).success);
  assert.ok(!schemaOf('revoked')!.safeParse({ ...line, time_ms: undefined }).success);
  assert.ok(!schemaOf('revoked')!.safeParse({ ...line, version: 1 }).success);
  assert.equal(schemaOf('toString'), undefined);
});

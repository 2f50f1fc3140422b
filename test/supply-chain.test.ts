// What is installed: no script of a package runs, every version is exact, and every file is the one whose hash the lock file names.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const read = (name: string): string => readFileSync(join(import.meta.dirname, '..', name), 'utf8');

test('no script of a package runs when it is installed', () => {
  assert.match(read('.npmrc'), /^ignore-scripts=true$/m);
});

test('every version is exact', () => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json'));
  const versions = Object.entries<string>({ ...dependencies, ...devDependencies, ...optionalDependencies });
  assert.ok(versions.length > 10);
  for (const [name, version] of versions) assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, name);
});

test('every package that is locked has the hash of what is downloaded', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { integrity?: string }> };
  for (const [name, { integrity }] of Object.entries(packages)) {
    if (name !== '') assert.match(integrity ?? '', /^sha512-[\w+/]{86}==$/, name);
  }
});

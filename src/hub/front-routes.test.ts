// The addresses of a hub's processes: those that devices connect to, and no more than they measure their way to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hono } from 'hono';
import { FrontsSchema, MOST_FRONTS } from '../protocol/fronts.ts';
import type { Front } from './cluster/others.ts';
import { serveFronts } from './front-routes.ts';

async function answer(fronts: readonly Front[]) {
  const app = new Hono();
  serveFronts(app, () => fronts);
  return FrontsSchema.parse(await (await app.request('/fronts')).json()).fronts;
}

test('processes that take devices are named with their regions', async () => {
  const fronts = [
    { instance: 'a', url: 'https://eu.example', region: 'eu' },
    { instance: 'b', url: null, region: 'eu' },
    { instance: 'c', url: 'https://us.example', region: null },
  ];
  assert.deepEqual(await answer(fronts), [
    { url: 'https://eu.example', region: 'eu' },
    { url: 'https://us.example', region: null },
  ]);
});

test('a hub that is one process names none; one of many processes no more than a device asks', async () => {
  assert.deepEqual(await answer([]), []);
  const many = Array.from({ length: 40 }, (_, i) => ({ instance: `${i}`, url: `https://${i}.example`, region: null }));
  assert.equal((await answer(many)).length, MOST_FRONTS);
});

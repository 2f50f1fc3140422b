// The names of models: what devices offer is listed by a name that stays, the newest of each name by that name alone, the most exact first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Margins } from '../../core/events/limits-published.ts';
import type { Offer } from '../../protocol/serving-from-peer.ts';
import { type KnownModel, marginsOf, modelNamed, modelsOfRuns, offeredModels } from './models.ts';

type quantisation = Exclude<Offer['quantisation'], 'gguf'>;

const [NEW, OLD, OTHER] = ['1', '2', '3'].map((digit) => digit.repeat(64));
const known: KnownModel[] = [
  { hash: NEW, names: ['poems', 'poems@11111111'], created_ms: 5, licence: null, run: null },
  { hash: OLD, names: ['poems', 'poems@22222222'], created_ms: 5, licence: null, run: null },
];
const offer = (model: string, quantisation: Offer['quantisation'], more: Partial<Offer> = {}): Offer => ({
  ...{ type: 'offer', model, quantisation, engine: 'own', class: 'own', context_tokens: 100, free_tokens: 100 },
  ...{ places: 1, chat: false, tools: false, heard: 0, price_in: 0, price_out: 0, region: null },
  ...more,
});
const of = (offers: readonly Offer[], peer = 'a') => offers.map((one) => ({ peer, offer: one }));
const nobody = () => null;
const names = (...offers: Offer[]): Record<string, string> =>
  Object.fromEntries(
    offeredModels(known, of(offers), nobody).map(({ name, hash, quantisation }) => [
      name,
      `${hash[0]} ${quantisation}`,
    ]),
  );

test('each model has a name of its own; the name of all means the newest that is offered, as exact as there is', () => {
  assert.deepEqual(names(), {});
  assert.deepEqual(names(offer(OTHER, 'f32')), {}, 'nobody knows it here');
  assert.deepEqual(names(offer(OLD, 'f32')), { poems: '2 f32', 'poems@22222222': '2 f32' });
  assert.deepEqual(names(offer(OLD, 'f32'), offer(NEW, 'q4_0'), offer(NEW, 'q8_0'), offer(NEW, 'q8_0')), {
    ...{ poems: '1 q8_0', 'poems:q8_0': '1 q8_0', 'poems@11111111': '1 q8_0', 'poems@11111111:q8_0': '1 q8_0' },
    ...{ 'poems:q4_0': '1 q4_0', 'poems@11111111:q4_0': '1 q4_0', 'poems@22222222': '2 f32' },
  });
  const two = [offer(NEW, 'f32'), offer(NEW, 'f32', { engine: 'wllama', context_tokens: 300 })];
  const model = modelNamed('poems', known, of(two), nobody)!;
  assert.deepEqual([model.engine, model.context_tokens], ['several', 300]);
  assert.equal(modelNamed('poem', known, of(two), nobody), undefined);
});

test('runs with one name are told apart, and a run that has learned on still knows its last models', () => {
  const run = (id: string, name: string, recent: string[]) =>
    [
      id,
      { id, spec: { name }, model: recent[0], recent: recent.slice(1).map((model) => ({ model })), opened_ms: 7 },
    ] as const;
  const hashes = ['a', 'b', 'c', 'd', 'e', 'f'].map((digit) => digit.repeat(64));
  const runs = new Map([
    run('1'.repeat(64), 'poems', hashes),
    run('2'.repeat(64), 'poems', [OTHER]),
    run('3'.repeat(64), 'x', [NEW]),
  ]);
  const all = modelsOfRuns({ runs } as never);
  assert.deepEqual(
    all.map(({ names: [first] }) => first),
    [...Array<string>(4).fill('poems-11111111'), 'poems-22222222', 'x'],
  );
  // `recent` is in the order of the log, so the last of it is the newest.
  assert.deepEqual(
    all.slice(0, 4).map(({ hash }) => hash[0]),
    ['a', 'f', 'e', 'd'],
  );
});

test('limits of a model are those of the run that had it first, and never those of who begins another run from it', () => {
  const margins = (sum_micro: number) => ({ sum_micro }) as Margins;
  const run = (id: string, model: string, recent: string[], published: [quantisation, Margins][]) =>
    [
      id,
      { id, model, recent: recent.map((one) => ({ model: one })), serving: { margins: new Map(published) } },
    ] as const;
  const state = (first: [quantisation, Margins][]) =>
    ({
      runs: new Map([
        run('1', NEW, [OLD, NEW], first),
        run('2', OLD, [], [['f32', margins(2)], ['q8_0', margins(3)]]), // biome-ignore format: one line
        run('3', OTHER, [], [['q8_0', margins(4)]]),
      ]),
    }) as never;
  const sums = (first: [quantisation, Margins][], ...asked: [string, Offer['quantisation']][]) =>
    asked.map(([model, quantisation]) => marginsOf(state(first), { model, quantisation })?.sum_micro);
  assert.deepEqual(sums([], [OLD, 'f32'], [OLD, 'q8_0'], [NEW, 'f32'], [OTHER, 'q8_0']), [
    undefined,
    undefined,
    undefined,
    4,
  ]);
  const own: [quantisation, Margins][] = [['q8_0', margins(1)]];
  assert.deepEqual(sums(own, [OLD, 'q8_0'], [NEW, 'q8_0'], [OLD, 'f32'], [OTHER, 'gguf']), [
    1,
    1,
    undefined,
    undefined,
  ]);
});

test('a model takes part in conversations, and calls tools in them, where a device that offers it does', () => {
  const can = (...offers: Partial<Offer>[]) => {
    const { chat, tools } = modelNamed('poems', known, of(offers.map((one) => offer(NEW, 'f32', one))), nobody)!;
    return [chat, tools];
  };
  assert.deepEqual(can({}), [false, false]);
  assert.deepEqual(can({}, { chat: true }), [true, false]);
  assert.deepEqual(can({ chat: true, tools: true }, {}), [true, true]);
  assert.deepEqual(can({ tools: true }, { chat: true }), [true, false], 'tools are called in conversations alone');
});

test('a file has no name but its hash, whatever it is called, and one entry for all devices that have it', () => {
  const file = (label: string, licence: string) =>
    offer(OTHER, 'gguf', { engine: 'llama.cpp', file: { label, licence, weights: 'q4_k' } });
  const owners: Record<string, string> = { a: 'x', b: 'x', c: 'y' };
  const list = (...offers: (readonly [string, Offer])[]) =>
    offeredModels(
      known,
      offers.map(([peer, one]) => ({ peer, offer: one })),
      (peer) => owners[peer] ?? null,
    );
  const [model, ...others] = list(['a', file('poems', 'MIT')]);
  assert.equal(others.length, 0);
  const { name, label, hash, licence, quantisation, owner, offered } = model;
  assert.deepEqual([name, label, hash], [`gguf:${OTHER}`, 'poems', OTHER]);
  assert.deepEqual([licence, quantisation, owner], ['MIT', 'q4_k', 'x']);
  assert.deepEqual(offered, { model: OTHER, quantisation: 'gguf' });
  // Whoever offers it first decides neither its terms nor its owner alone.
  const [shared] = list(['a', file('one', 'MIT')], ['b', file('two', 'MIT')], ['c', file('three', 'apache-2.0')]);
  assert.deepEqual([shared.label, shared.licence, shared.owner], ['one', 'MIT | apache-2.0', 'several']);
  assert.equal(list(['z', file('one', 'MIT')])[0].owner, 'unknown');
  // A run's name means the run's model.
  const both = list(['a', file('poems', 'MIT')], ['b', offer(NEW, 'f32')]);
  assert.equal(both.find((one) => one.name === 'poems')!.hash, NEW);
});

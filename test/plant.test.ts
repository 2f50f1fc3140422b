// Planted work with real processes: a validator that does not look is caught by bad work that only the owner knows of, and anybody can
// read in the log what it lost and why; judges who look lose nothing, neither by bad work nor by good.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exampleRules } from '../src/core/testing/example-events.ts';
import { hubHere } from './hub-here.ts';
import { network, type Potluck, untilStatus } from './network.ts';

interface Told {
  readonly holders: readonly { readonly devices: readonly { readonly name: string }[]; readonly shares: number }[];
  readonly forfeits: readonly { readonly name: string; readonly shares: number; readonly plants_wrong: number }[];
}
interface Why {
  readonly sentences: readonly string[];
  readonly worker_name: string;
  readonly plant: { readonly right: readonly { readonly name: string }[]; readonly wrong: readonly { name: string }[] };
}

const PARTS = { owner_permille: 100, workers_permille: 700, validators_permille: 200 };
const EMISSION = { shares_per_round: 1_000_000, halving_rounds: 0, ...PARTS };

const planted = (planter: Potluck) => planter.line(({ type }) => type === 'planted');

test('a lazy validator is caught by planted work, and shares and why say so in plain words', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  // One of two judges repeats and the other looks, whatever is drawn: who sees the form of a work alone is not tried by it.
  const rules = join(net.folder, 'rules.json');
  writeFileSync(rules, JSON.stringify(exampleRules(EMISSION, { reexecute_permille: 1000, withheld_rounds: 8 })));
  const rounds = ['--rounds', '8', '--round-seconds', '5', '--min-workers', '3'];
  const game = ['--game', 'addition-chain', ...rounds, '--rules', rules];
  const { run } = await net
    .ask('run', 'create', '--hub', url, ...game, '--json')
    .line(({ type }) => type === 'created');
  const own = (name: string) => ['--owner', join(net.folder, `${name}.key`)];
  const judge = (name: string, ...more: string[]) =>
    net.joinTogether(url, name, '--role', 'validator', ...own(name), ...more);
  judge('vera');
  judge('larry', '--adversary', 'lazy');
  await untilStatus(url, String(run), ({ peers }) => peers.length === 2);
  const ada = net.joinTogether(url, 'ada', ...own('ada'));
  const plant = (...flags: string[]) => net.start('plant', String(run), '--hub', url, '--json', ...flags);
  const bad = plant('--work', 'bad', '--honest-rounds', '2');
  const good = plant('--work', 'good', '--honest-rounds', '1', '--name', 'grace');
  const [badly, well] = await Promise.all([planted(bad), planted(good)]);
  assert.deepEqual([badly.revealed, well.revealed], [true, true], JSON.stringify([badly, well]));
  assert.deepEqual(await Promise.all([bad.ended, good.ended, ada.ended]), [0, 0, 0]);
  await untilStatus(url, String(run), ({ phase }) => phase === 'finished');

  const told = async <T>(...args: string[]): Promise<T> =>
    (await net.ask(...args, '--hub', url, '--json').line(({ type }) => type === args[0])) as T;
  const why = await told<Why>('why', String(badly.submission));
  assert.ok(!/plant|adversary/i.test(why.worker_name), why.worker_name);
  assert.deepEqual(
    [why.plant.right, why.plant.wrong].map((list) => list.map(({ name }) => name)),
    [['vera'], ['ADVERSARY lazy: larry']],
  );
  assert.match(why.sentences.join('\n'), /larry \(\w+\) accepted it, and lost the [1-9][\d,]* shares/);
  const fine = await told<Why>('why', String(well.submission));
  assert.deepEqual([fine.plant.right.length, fine.plant.wrong.length, fine.worker_name], [2, 0, 'grace']);

  const { forfeits, holders } = await told<Told>('shares', String(run));
  const caught = forfeits.filter(({ plants_wrong }) => plants_wrong > 0);
  assert.deepEqual(
    caught.map(({ name, plants_wrong }) => [name, plants_wrong]),
    [['ADVERSARY lazy: larry', 1]],
  );
  assert.ok(caught[0].shares > 0);
  assert.ok(holders.some(({ devices }) => devices.some(({ name }) => name === 'vera')));
  // What the honest validator has come to think of the workers is kept in its folder.
  const rated = net.ask('ratings', '--folder', join(net.folder, 'vera'), '--json');
  const { workers } = (await rated.line(({ type }) => type === 'ratings')) as {
    workers: { judged: number; score: number; standing_permille: number }[];
  };
  assert.ok(workers.length >= 3 && workers.every(({ judged }) => judged > 0), JSON.stringify(workers));
  assert.ok(workers.every(({ score, standing_permille }) => score > 0 && standing_permille > 0));
  const text = net.ask('shares', String(run), '--hub', url);
  assert.equal(await text.ended, 0);
  assert.match(
    text.stdout(),
    /larry \(validator, \w+\) misjudged 1 submission that the run's owner had planted and lost/,
  );
});

test('who does not own the run cannot plant in it', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const create = net.ask('run', 'create', '--hub', url, '--game', 'addition-chain', '--json');
  const { run } = await create.line(({ type }) => type === 'created');
  const stranger = net.ask('plant', String(run), '--hub', url, '--owner', join(net.folder, 'other.key'), '--json');
  const { error } = (await stranger.line((line) => 'error' in line)) as { error: { code: string } };
  assert.equal(error.code, 'not-the-owner');
  assert.equal(await stranger.ended, 1);
});

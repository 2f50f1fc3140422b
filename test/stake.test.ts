// Stake and settlement on a real hub: the commands of a holder and of a run's owner, what they refuse, and logs that lie about them.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeEvent } from '../src/core/codec.ts';
import type { PayoutSettled } from '../src/core/events/payout-settled.ts';
import type { StakeLocked } from '../src/core/events/stake-locked.ts';
import type { EventBody } from '../src/core/events.ts';
import { apply } from '../src/core/reduce.ts';
import { mergedList } from '../src/core/rounds/merged-list.ts';
import { settleable, settlementRoot } from '../src/core/shares/settlement.ts';
import { initialState, type NetworkState } from '../src/core/state.ts';
import { drawnBy } from '../src/core/testing/example-draw.ts';
import { EXAMPLE_WORDS, exampleRules, exampleVerdict, sealFor } from '../src/core/testing/example-events.ts';
import { openHub } from '../src/hub/hub.ts';
import { openFolderBlobStore } from '../src/ledger/folder-blob-store.ts';
import { openSqliteLogStore } from '../src/ledger/sqlite-log-store.ts';
import { openTransparencyLog } from '../src/ledger/transparency-log.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import { sha256Hex } from '../src/protocol/hash.ts';
import { createIdentity, generateSecret, type Identity, identityFromSecret } from '../src/protocol/identity.ts';
import { createIdentityFile } from '../src/protocol/identity-file.ts';
import { tally } from '../src/simulation/tally-game.ts';
import { auditAt, bodyOf, type Entry, entriesOf, forge, indexOfType, isUntrue, signedEntry } from './forged-log.ts';
import { type Network, network, type Told } from './network.ts';

/** Whole numbers, so that 1000 shares a round are 200 of the owner, 200 of each worker and 400 of the validator. */
const EMISSION = {
  ...{ shares_per_round: 1000, halving_rounds: 0, owner_permille: 200 },
  ...{ workers_permille: 400, validators_permille: 400 },
};
const ADDRESS = '0x52908400098527886E0F7030069857D2E4169EE7';

/** A log that its hub has not opened yet: two of five rounds are merged, and the third is not open. */
interface Played {
  readonly net: Network;
  readonly folder: string;
  readonly run: string;
  readonly hub: Identity;
  readonly state: NetworkState;
  readonly who: Readonly<
    Record<'owner' | 'vera' | 'ada' | 'bob', { readonly identity: Identity; readonly key: string }>
  >;
}

async function played(net: Network): Promise<Played> {
  const folder = join(net.folder, 'hub');
  mkdirSync(folder);
  const person = async (name: string) => {
    const key = join(net.folder, `${name}.key`);
    const secret = generateSecret();
    await createIdentityFile(key, secret);
    return { identity: identityFromSecret(secret), key };
  };
  const [owner, vera, ada, bob] = await Promise.all(['owner', 'vera', 'ada', 'bob'].map(person));
  const secret = generateSecret();
  await createIdentityFile(join(folder, 'hub.key'), secret);
  const hub = identityFromSecret(secret);
  const blobs = await openFolderBlobStore(join(folder, 'blobs'));
  const params = await blobs.put(new TextEncoder().encode(JSON.stringify({ steps: 1, tokens_per_step: 1 })));

  const state = initialState(hub.id);
  const log: Uint8Array[] = [];
  const say = async ({ identity }: { identity: Identity }, body: EventBody): Promise<string> => {
    const bytes = await signEvent(identity, body);
    const event = decodeEvent(bytes);
    assert.equal(apply(state, event), null);
    log.push(bytes);
    return event.id;
  };
  const chair = { identity: hub };
  const model = (round: number): string => sha256Hex(new Uint8Array([round]));
  const run = await say(owner, {
    ...{
      type: 'run.created',
      version: 3,
      ...EXAMPLE_WORDS,
      name: 'staked',
      game: 'tally',
      params,
      model: model(0),
      rounds: 5,
    },
    ...{ round_ms: 60_000, judging_ms: 60_000, min_workers: 2, checkpoint_every: 5, created_ms: 1 },
    rules: exampleRules(EMISSION, { release_rounds: 2, withheld_rounds: 1 }),
  });
  const base = { version: 1, run } as const;
  for (const [peer, role, name] of [
    [vera, 'validator', 'vera'],
    [ada, 'worker', 'ada'],
    [bob, 'worker', 'bob'],
  ] as const) {
    await say(peer, { type: 'peer.joined', ...base, session: 0, role, name, runtime: 'none' });
  }
  for (let round = 0; round < 2; round++) {
    const open = { ...base, round, attempt: 0 };
    await say(chair, { type: 'round.opened', ...open });
    const works = [];
    for (const worker of [ada, bob]) {
      const work = { work: params, size_bytes: 1, amount: 10, numbers: { steps: 1, loss_micro: 1 }, pledge: params };
      works.push(await say(worker, { type: 'work.submitted', ...open, version: 2, base: model(round), ...work }));
    }
    const verdicts = works.map((id) => exampleVerdict(run, id, 10));
    await say(chair, drawnBy(hub, state.runs.get(run)!));
    for (const verdict of verdicts) await say(vera, sealFor(vera.identity.id, verdict));
    for (const verdict of verdicts) await say(vera, verdict);
    const next = { ...mergedList(works.sort()), model: model(round + 1), bundle: params, checkpoint: false };
    await say(chair, { type: 'round.merged', ...open, version: 2, ...next });
  }
  const store = openSqliteLogStore(join(folder, 'hub.sqlite'));
  await openTransparencyLog(store, hub).append(log);
  await store.close();
  return { net, folder, run, hub, state, who: { owner, vera, ada, bob } };
}

/** What a command says with --json; `code` is that of its error. */
async function answer(potluck: Told) {
  const exit = await potluck.ended;
  const line = potluck.lines.at(-1) ?? {};
  const error = line.error as { code: string; message: string; details: { refusal?: string } } | undefined;
  assert.equal(exit === 0, error === undefined, potluck.stderr());
  return { line, code: error?.code ?? null, refusal: error?.details.refusal, message: error?.message ?? '' };
}

test('stake and settlement', async (t) => {
  const { net, folder, run, hub, who } = await played(network(t));
  const opened = await openHub({ folder, host: '127.0.0.1', port: 0, loadGame: async () => tally });
  t.after(() => opened.close());
  const { url } = opened;
  const short = run.slice(0, 12);
  const ask = (name: keyof typeof who | null, ...args: string[]) => {
    const own = name === null ? [] : ['--owner', who[name].key];
    return answer(net.ask(...args, '--hub', url, ...own, '--json'));
  };

  await t.test('a holder locks what is free and nothing else', async () => {
    const before = await ask('vera', 'stake', 'show', short);
    assert.deepEqual(before.line.balance, { held: 800, settled: 0, locked: 0, withheld: 0, free: 800 });
    const locked = await ask('vera', 'stake', 'lock', short, '--shares', '300', '--behind', 'vera');
    assert.deepEqual([locked.line.type, locked.line.shares], ['locked', 300]);
    const lock = (by: keyof typeof who, ...args: string[]) => ask(by, 'stake', 'lock', ...args);
    const refusals = await Promise.all([
      lock('vera', short, '--shares', '501'),
      lock('ada', short, '--shares', '1'),
      lock('owner', short, '--shares', 'all'),
      lock('vera', 'ffff', '--shares', '1'),
      lock('vera', short, '--shares', '0'),
      lock('vera', short),
      ask(null, 'stake', 'show', short, '--holder', 'vera'),
    ]);
    const codes = ['refused', 'no-such-device', 'no-such-device', 'no-such-run', 'usage', 'usage', 'usage'];
    assert.deepEqual(
      refusals.map(({ code }) => code),
      codes,
    );
    assert.equal(refusals[0].refusal, 'not-enough-shares');
  });

  await t.test('it asks for them back, once', async () => {
    const none = await ask('ada', 'stake', 'release', short, '--shares', '1');
    assert.equal(none.code, 'no-such-device');
    const more = await ask('vera', 'stake', 'release', short, '--shares', '301');
    assert.deepEqual([more.code, more.refusal], ['refused', 'not-locked']);
    const released = await ask('vera', 'stake', 'release', short, '--shares', '100');
    assert.deepEqual([released.line.shares, released.line.free_round], [100, 4]);
    const { balance, devices } = (await ask('vera', 'stake', 'show', short)).line;
    assert.deepEqual(balance, { held: 800, settled: 0, locked: 300, withheld: 0, free: 500 });
    const [{ locked, releasing }] = devices as { locked: number; releasing: object[] }[];
    assert.deepEqual([locked, releasing], [200, [{ shares: 100, free_round: 4 }]]);
    const human = net.ask('stake', 'show', short, '--hub', url, '--owner', who.vera.key);
    assert.equal(await human.ended, 0);
    assert.match(
      human.stdout(),
      /500 {2}free[\s\S]*vera[\s\S]*200 locked from the next round on[\s\S]*100 on the way back/,
    );
  });

  const file = join(net.folder, 'settlement.json');
  await t.test('the owner states what is paid out, and the next settlement covers what has come since', async () => {
    const nobody = await ask(null, 'settle', '--run', short, '--out', file);
    assert.equal(nobody.code, 'nothing-to-settle');
    assert.equal((await ask('vera', 'id', 'address', ADDRESS)).code, null);
    const printed = (await ask(null, 'settle', '--run', short, '--out', file)).line;
    assert.deepEqual([printed.settled_shares, printed.locked, printed.event], [500, 300, null]);
    const stranger = await ask('ada', 'settle', '--run', short, '--out', file, '--record');
    assert.deepEqual([stranger.code, stranger.refusal], ['refused', 'not-the-owner']);
    const recorded = (await ask('owner', 'settle', '--run', short, '--out', file, '--record', '--reference', 'tx 0x12'))
      .line;
    assert.equal(recorded.root, printed.root);
    assert.match(String(recorded.event), /^[0-9a-f]{64}$/);
    assert.equal(JSON.parse(readFileSync(file, 'utf8')).merkleRoot, printed.root);
    const again = await ask('owner', 'settle', '--run', short, '--out', file, '--record');
    assert.equal(again.code, 'nothing-to-settle');
    const lock = await ask('vera', 'stake', 'lock', short, '--shares', '1');
    assert.equal(lock.refusal, 'not-enough-shares', 'what is paid out stands behind nobody');
    assert.equal((await ask('ada', 'id', 'address', ADDRESS)).code, null);
    const second = (
      await ask('owner', 'settle', '--run', short, '--format', 'standard-merkle-tree', '--out', file, '--record')
    ).line;
    assert.deepEqual([second.settlement, second.settled_shares], [1, 400]);
  });

  await t.test('a settlement that is in the log can be had again by everybody', async () => {
    const [first, ...wrong] = await Promise.all([
      ask(null, 'settle', '--recorded', '0', '--out', file),
      ask(null, 'settle', '--recorded', '2'),
      ask(null, 'settle', '--recorded', '0', '--record'),
      ask(null, 'settle', '--reference', 'x'),
      ask(null, 'settle', '--record', '--reference', 'a\nb'),
      answer(net.ask('settle', '--record', '--hub', folder, '--json')),
    ]);
    const tree = JSON.parse(readFileSync(file, 'utf8'));
    const { settled_shares, root } = first.line;
    assert.deepEqual([settled_shares, tree.merkleRoot, Object.keys(tree.claims)], [500, root, [ADDRESS]]);
    const codes = ['not-settled', 'bad-argument', 'bad-argument', 'usage', 'bad-argument'];
    assert.deepEqual(
      wrong.map(({ code }) => code),
      codes,
    );
  });

  await t.test('shares says where they are, rules show the notice', async () => {
    const shown = await answer(net.ask('rules', 'show', short, '--hub', url, '--json'));
    assert.equal((shown.line.rules as { release_rounds: number }).release_rounds, 2);
    const { holders } = (await answer(net.ask('shares', short, '--hub', url, '--json'))).line;
    const vera = (holders as Record<string, unknown>[]).find(({ account }) => account === who.vera.identity.id)!;
    const { shares, settled, locked, withheld, free } = vera;
    assert.deepEqual(
      { shares, settled, locked, withheld, free },
      { shares: 800, settled: 500, locked: 300, withheld: 0, free: 0 },
    );
  });

  await opened.close();
  const entries = await entriesOf(folder);
  const changed = async (index: number, ...by: Entry[]): Promise<string> => {
    const list = [...entries.slice(0, index), ...by, ...entries.slice(index + 1)];
    return (
      await forge(
        net.folder,
        folder,
        hub,
        list.map(({ bytes }) => bytes),
      )
    ).folder;
  };
  const find = (type: EventBody['type'], nth = 0) => indexOfType(entries, type, nth);

  await t.test('the log is true, and a hub that forges stake in it is caught', async () => {
    const copy = await changed(entries.length);
    await assert.doesNotReject(auditAt(copy, { models: false }));
    const at = find('stake.locked');
    const lock = bodyOf(entries[at], 'stake.locked');
    const lie = (by: Identity, more: Partial<StakeLocked>) => signedEntry(by, { ...lock, ...more });
    const { vera, ada } = who;
    const refused = { index: at, type: 'stake.locked' };
    const untrue = async (entry: Entry, refusal: string) =>
      isUntrue(await changed(at, entry), 'refused', { ...refused, refusal }, { models: false });
    await untrue(await lie(vera.identity, { shares: 801 }), 'not-enough-shares');
    await untrue(await lie(ada.identity, {}), 'not-the-owner');
    await untrue(await lie(hub, {}), 'not-the-owner');
    await untrue(await lie(vera.identity, { change: 1 }), 'wrong-change');
    const twice = await changed(at, entries[at], entries[at]);
    await isUntrue(twice, 'refused', { index: at + 1, refusal: 'wrong-change' }, { models: false });
    const released = find('stake.released');
    await isUntrue(await changed(at), 'refused', { index: released - 1, refusal: 'wrong-change' }, { models: false });
    const more = await signedEntry(vera.identity, { ...bodyOf(entries[released], 'stake.released'), shares: 301 });
    await isUntrue(
      await changed(released, more),
      'refused',
      { index: released, refusal: 'not-locked' },
      { models: false },
    );
  });

  await t.test('a settlement that does not follow from the log is found, whoever has signed it', async () => {
    const at = find('payout.settled');
    const settled = bodyOf(entries[at], 'payout.settled');
    const untrue = async (more: Partial<PayoutSettled>, refusal: string, by = who.owner.identity) => {
      const lie = await signedEntry(by, { ...settled, ...more });
      await isUntrue(
        await changed(at, lie),
        'refused',
        { index: at, type: 'payout.settled', refusal },
        { models: false },
      );
    };
    await untrue({ root: `0x${'1'.repeat(64)}` }, 'wrong-settlement');
    await untrue({ total: settled.total + 1 }, 'wrong-settlement');
    await untrue({ settlement: 1 }, 'wrong-settlement');
    // A log that ends before the address was named.
    await untrue({ log_size: find('account.address') }, 'stale-settlement');
    await untrue({ log_size: entries.length }, 'stale-settlement');
    await untrue({}, 'not-the-owner', hub);
    const twice = await changed(at, entries[at], entries[at]);
    await isUntrue(twice, 'refused', { index: at + 1, refusal: 'wrong-settlement' }, { models: false });
    // The owner pays itself what is locked: right in form, and its root is that of other balances.
    const before = initialState(hub.id);
    for (const { event } of entries.slice(0, at)) assert.equal(apply(before, event), null);
    const [balance] = settleable(before, before.runs.get(run)!).balances;
    const all = { ...balance, amount: 800n };
    await untrue({ total: 800, root: settlementRoot('merkle-distributor', [all]) }, 'wrong-settlement');
    const other = createIdentity();
    await untrue({}, 'not-the-owner', other);
  });
});

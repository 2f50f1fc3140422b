// A decision that was wrong is taken back, as real processes: a lazy judge who is alone accepts a poison; validators who come later repeat it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { hubHere } from './hub-here.ts';
import { network, TINY, untilStatus } from './network.ts';

const STEPS = 6;

test('a poison that a lazy judge alone has accepted is contested, and costs its worker what it earned', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const flags = ['--data', join(net.folder, 'text.txt'), ...TINY, '--rounds', '40', '--steps', String(STEPS)];
  // Without a word about judges, those of who creates it judge: all devices here are of one person.
  const create = ['run', 'create', '--hub', url, ...flags, '--min-workers', '2', '--json'];
  const run = String((await net.ask(...create).line(({ type }) => type === 'created')).run);
  const say = async (word: string) => assert.equal(await net.ask('run', word, run, '--hub', url).ended, 0);

  const here = (status: Awaited<ReturnType<typeof untilStatus>>, name: string): boolean =>
    status.peers.some((peer) => peer.name.endsWith(name) && peer.present);
  net.joinTogether(url, 'mallory', '--role', 'validator', '--adversary', 'lazy');
  await untilStatus(url, run, (status) => here(status, 'mallory'));
  const poison = net.joinTogether(url, 'eve', '--adversary', 'slow-poison');
  net.joinTogether(url, 'ada');
  const { submission } = await poison.line(({ type }) => type === 'accepted');
  await untilStatus(url, run, ({ round }) => round > 0);
  await say('pause');
  await untilStatus(url, run, ({ phase }) => phase === 'paused');

  const [vera, otto] = ['vera', 'otto'].map((name) => net.joinTogether(url, name, '--role', 'validator'));
  await untilStatus(url, run, (status) => here(status, 'vera') && here(status, 'otto'));
  await say('resume');
  await vera.line(({ type }) => type === 'judged');
  await say('pause');
  await untilStatus(url, run, ({ phase }) => phase === 'paused');

  const contest = (...more: string[]) =>
    net.ask('contest', String(submission), '--hub', url, '--runtime', 'native', '--json', ...more);
  const mine = ['--folder', join(net.folder, 'vera')];
  const offered = await contest(...mine).line(({ type }) => type === 'contest');
  assert.deepEqual([offered.decided, offered.round, offered.event], ['accepted', 0, null]);
  const strangers = contest('--yes', '--folder', join(net.folder, 'eve'));
  assert.match(JSON.stringify(await strangers.line(({ type }) => type === 'error')), /not-a-validator/);
  const sent = await contest(...mine, '--yes').line(({ type }) => type === 'contest');
  assert.match(String(sent.event), /^[0-9a-f]{64}$/);
  await say('resume');

  const found = await Promise.all(
    [vera, otto].map((judge) => judge.line((line) => line.type === 'judged' && line.submission === submission)),
  );
  assert.deepEqual(
    found.map(({ accepted, code }) => [accepted, code]),
    [
      [false, 'other-update'],
      [false, 'other-update'],
    ],
  );
  await untilStatus(url, run, ({ peers }) => {
    const eve = peers.find(({ name }) => name.endsWith('eve'))!;
    // All that it has handed in was merged; the first of it is what was contested, and is credited no more.
    const handed = poison.lines.filter(({ type }) => type === 'accepted').map(({ amount }) => Number(amount));
    return eve.credit_amount === handed.slice(1, eve.merged_submissions).reduce((sum, amount) => sum + amount, 0);
  });
  const why = await net.ask('why', String(submission), '--hub', url, '--json').line(() => true);
  const [told] = why.contests as { found: string; taken_back: boolean; shares: number; verdicts: unknown[] }[];
  assert.deepEqual([told.found, told.taken_back], ['fraud', true]);
  assert.ok(told.verdicts.length >= 2, 'more than half of three; the third may be late');
  assert.ok(told.shares > 0);
  const shares = await net.ask('shares', run, '--hub', url, '--json').line(() => true);
  const forfeits = shares.forfeits as { name: string; shares: number }[];
  assert.ok(forfeits.some(({ name, shares: lost }) => name.endsWith('eve') && lost >= told.shares));
  assert.ok(
    forfeits.some(({ name }) => name.endsWith('mallory')),
    'who accepted what everybody could repeat pays',
  );
  const { verdict } = await net.ask('audit', url, '--json').line(() => true);
  assert.equal(verdict, 'true');
});

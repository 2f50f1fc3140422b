// A run moves from one real hub to another while a worker and a validator take part: both follow by themselves, nothing that was earned is lost, and
// nothing of it counts twice.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPublicLog } from '#public-log-open';
import { holdingsOf } from '../src/audit/shares.ts';
import type { RunStatus } from '../src/protocol/messages.ts';
import { network, untilStatus } from './network.ts';

const ROUNDS = 5;

/** What each account holds of a run, by a hub's log. */
async function holdings(url: string, run: string) {
  const log = await openPublicLog(url);
  try {
    return await holdingsOf(log, run);
  } finally {
    log.close();
  }
}

test('a run goes to another hub with all that was earned in it, and its devices with it', async (t) => {
  const net = network(t);
  const { url: from } = await net.hub();
  const other = net.start('hub', '--port', '0', '--folder', join(net.folder, 'other'), '--json', '--no-page');
  const to = String((await other.line(({ type }) => type === 'listening')).url);
  const run = await net.createRun(from, '--rounds', String(ROUNDS), '--steps', '2', '--round-seconds', '2');
  const [ada, vera] = [net.joinTogether(from, 'ada'), net.joinTogether(from, 'vera', '--role', 'validator')];
  const serves = net.joinTogether(from, 'otto', '--serve-only');
  await untilStatus(from, run, ({ round }: RunStatus) => round >= 2);

  const move = net.ask('run', 'move', run.slice(0, 10), '--hub', from, '--to', to, '--json');
  assert.equal(await move.ended, 0, move.stdout());
  const moved = move.lines.at(-1)!;
  assert.equal(moved.type, 'moved');
  const there = await untilStatus(to, run, ({ phase }: RunStatus) => phase === 'finished');
  assert.equal(there.round, ROUNDS);
  for (const peer of [ada, vera]) {
    await peer.line(({ type, url }) => type === 'moved' && url === to);
    assert.equal(await peer.ended, 0, peer.stderr());
  }

  // Whoever only answers callers answers those of the other hub now.
  await serves.line(({ type, url }) => type === 'moved' && url === to);
  await serves.line(({ type }) => type === 'serves');

  // What was earned before the move is in what is held at its end; in the old log it stands still, and counts no more.
  const [old, now] = [await holdings(from, run), await holdings(to, run)];
  const sum = (rows: readonly { readonly shares: number }[]) => rows.reduce((all, { shares }) => all + shares, 0);
  assert.ok(sum(old.holders) > 0 && sum(now.holders) > sum(old.holders));
  for (const { account, shares } of old.holders) {
    assert.ok(
      now.holders.some((row) => row.account === account && row.shares >= shares),
      `${account} had ${shares}`,
    );
  }
  const resume = net.ask('run', 'resume', run.slice(0, 10), '--hub', from);
  assert.equal(await resume.ended, 1);
  assert.match(resume.stderr(), /goes on in the log of hub/);
  const again = net.ask('run', 'move', run.slice(0, 10), '--hub', from, '--to', to, '--stay-paused', '--json');
  assert.equal(await again.ended, 0, 'a move that is done is done');

  // Whoever audits the other hub's log reads the run's past where it was.
  const audit = net.ask('audit', to, '--json');
  assert.equal(await audit.ended, 0, `${audit.stdout()}${audit.stderr()}`);
  const at_old = net.ask('audit', from, '--json');
  assert.equal(await at_old.ended, 0, `${at_old.stdout()}${at_old.stderr()}`);
  const report = JSON.stringify(audit.lines.at(-1));
  assert.ok(report.includes(String(moved.from)), report);
});

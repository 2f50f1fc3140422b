// What moves no run, before anything is said to a hub: a stranger's wish, a run that has gone elsewhere or is finished, a hub that takes none.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createIdentity } from '../protocol/identity.ts';
import type { AccountView, RunStatus } from '../protocol/messages.ts';
import { exampleStatus } from '../protocol/testing/example-views.ts';
import { moveRun } from './move-run.ts';

const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(64));

test('a run stays where it is, in a word', async (t) => {
  const owner = createIdentity();
  let run: RunStatus;
  let account: AccountView;
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url!.replace(/\?.*/, '');
    asked.push(`${request.method} ${path.replace(owner.id, '')}`);
    response.end(JSON.stringify(path === '/status' ? { hub: A, runs: [run], next: null } : account));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const refused = async (of: Partial<RunStatus>, there: Partial<AccountView>, by = owner) => {
    run = exampleStatus({ name: 'poems', owner: owner.id, ...of });
    account = { hub: B, account: owner.id, address: null, next_change: 0, ...there };
    asked.length = 0;
    const options = { url, to: url, owner: by, wanted: 'poems', folder: 'nowhere', stays_paused: false, onStep() {} };
    const error = await moveRun(options).then(
      () => assert.fail('it moved'),
      (one: { code: string; details: { refusal?: string } }) => one,
    );
    assert.deepEqual(
      asked.filter((one) => one.startsWith('POST')),
      [],
    );
    return error.details.refusal ?? error.code;
  };
  assert.equal(await refused({}, {}, createIdentity()), 'not-the-owner');
  assert.deepEqual(asked, ['GET /status']);
  const gone = { hub: C, url: 'http://c.example', entry: 0, index: 1 };
  assert.equal(await refused({ phase: 'finished', moved: gone }, {}), 'run-moved');
  assert.equal(await refused({ phase: 'finished' }, {}), 'wrong-phase');
  const run_refusal = { code: 'too-many-runs', message: 'no more runs' };
  assert.equal(await refused({}, { run_refusal }), 'too-many-runs');
});

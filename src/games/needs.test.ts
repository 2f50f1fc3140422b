// A device is told in one sentence what it cannot do for a game.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { game as chain } from './addition-chain.ts';
import { CAPABILITIES, type Capability, checkNeeds } from './needs.ts';
import { game as pretrain } from './pretrain.ts';

test('who lends what a game needs may play it, and who does not is told what is missing', () => {
  checkNeeds(chain, ['blobs', 'store'], 'this tab');
  checkNeeds(pretrain, ['blobs', 'store', 'compute'], 'this device');
  assert.throws(() => checkNeeds(pretrain, ['blobs', 'store'], 'this tab'), {
    code: 'bad-device',
    message: 'pretrain needs a device that computes graphs (compute), and this tab does not',
  });
  assert.throws(() => checkNeeds({ name: 'agents', needs: ['run', 'generate'] }, ['compute'], 'this device'), {
    message:
      'agents needs a device that runs programs in a sandbox (run) and lets a model write (generate), and this device does not',
  });
});

test('each capability has its own words, in which a device says what it cannot do', () => {
  const said = (Object.keys(CAPABILITIES) as Capability[]).map((need) => {
    const lends = (Object.keys(CAPABILITIES) as Capability[]).filter((other) => other !== need);
    try {
      checkNeeds({ name: 'a-game', needs: [need] }, lends, 'this tab');
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing';
  });
  assert.deepEqual(said, [
    'a-game needs a device that fetches blobs by their hash (blobs), and this tab does not',
    'a-game needs a device that keeps a little between rounds (store), and this tab does not',
    'a-game needs a device that computes graphs (compute), and this tab does not',
    'a-game needs a device that lets a model write (generate), and this tab does not',
    'a-game needs a device that runs programs in a sandbox (run), and this tab does not',
    'a-game needs a device that talks to other devices (channel), and this tab does not',
  ]);
});

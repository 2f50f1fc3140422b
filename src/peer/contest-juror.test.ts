// A juror that cannot repeat what is contested says so and accuses nobody; what it has sealed it shows, also after a restart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PublicLogError } from '../audit/public-log.ts';
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import type { EventBody } from '../core/events.ts';
import { flawOfEvidence } from '../core/rounds/evidence.ts';
import { sealOf } from '../core/rounds/judging.ts';
import { memoryDrawer } from '../games/memory-drawer.ts';
import { createIdentity } from '../protocol/identity.ts';
import type { RunView } from '../protocol/messages.ts';
import { exampleView } from '../protocol/testing/example-views.ts';
import { contestJuror } from './contest-juror.ts';
import type { RoleContext } from './role.ts';

const HASH = 'c'.repeat(64);
const STAYS = new AbortController().signal;

function jurorWith(publicLog: RoleContext['publicLog'], drawer = memoryDrawer(), identity = createIdentity()) {
  const said: EventBody[] = [];
  const uploaded: Uint8Array[] = [];
  const told: unknown[] = [];
  let onSaid = (): void => {};
  const context = {
    ...{ run: HASH, identity, publicLog, device: { drawer } },
    blobs: { upload: async (bytes: Uint8Array) => uploaded.push(bytes) && 'e'.repeat(64) },
    submit: async (body: EventBody) => {
      said.push(body);
      onSaid();
    },
    tell() {},
  } as unknown as RoleContext;
  const next = () =>
    new Promise<void>((resolve) => {
      onSaid = resolve;
    });
  return {
    juror: contestJuror(context, (error) => told.push(error) && onSaid()),
    said,
    uploaded,
    told,
    next,
    identity,
    drawer,
  };
}

const contested = (
  judge: string,
  more: Partial<NonNullable<RunView['contests']>[number]> = {},
  view: Partial<RunView> = {},
): RunView => {
  const about = { submission: HASH, round: 3, contest: 1, showing: false, judges: [judge], sealed: [], shown: [] };
  return exampleView({ ...view, contests: [{ ...about, ...more }] });
};

test('without the log it abstains, shows that when all have sealed, also after a restart, and only once', async () => {
  const { juror, said, uploaded, next, identity, drawer } = jurorWith(undefined);
  const sealed = next();
  await juror.act(contested(identity.id), STAYS);
  await sealed;
  await juror.act(contested(identity.id), STAYS);
  assert.deepEqual(
    said.map(({ type }) => type),
    ['verdict.sealed'],
  );
  assert.equal(flawOfEvidence(uploaded[0], HASH, identity.id), null);

  const again = jurorWith(undefined, drawer, identity);
  const showing = contested(identity.id, { showing: true, sealed: [identity.id] });
  await again.juror.act(showing, STAYS);
  const [verdict] = again.said as VerdictGiven[];
  assert.deepEqual(
    [verdict.contest, verdict.accepted, verdict.fraud, verdict.code, verdict.weight],
    [1, false, false, 'cannot-repeat', 0],
  );
  assert.equal(sealOf(identity.id, verdict), 'seal' in said[0] && said[0].seal);
  await again.juror.act(contested(identity.id, { showing: true, sealed: [identity.id], shown: [identity.id] }), STAYS);
  assert.equal(again.said.length, 1);
});

test('a log that is not there now is asked for again; one that cannot be used is a reason to abstain', async () => {
  let asked = 0;
  const answers = [
    new PublicLogError('unreachable', 'no answer'),
    new PublicLogError('too-large', 'the log cannot be read'),
  ];
  const log = { close() {}, pages: () => Promise.reject(new Error('not asked')) };
  const { juror, said, uploaded, told, next, identity } = jurorWith(async () => {
    const failure = answers[asked++];
    const fails = (): never => {
      throw failure;
    };
    return {
      ...log,
      pages: fails,
      get head() {
        return fails();
      },
    } as never;
  });
  for (let i = 0; i < 2; i++) {
    const heard = next();
    await juror.act(contested(identity.id), STAYS);
    await heard;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual([asked, told.length, said.length], [2, 1, 1]);
  assert.match(new TextDecoder().decode(uploaded[0]), /too-large: the log cannot be read/);
});

test('who is not of the jury does nothing, and forgets what is over', async () => {
  const { juror, said, drawer, identity } = jurorWith(undefined);
  await juror.act(contested('a'.repeat(64)), STAYS);
  await juror.act(exampleView(), STAYS);
  assert.deepEqual(said, []);
  assert.equal(await drawer.get('contest-verdicts'), null);
  await juror.act(contested(identity.id, { showing: true, sealed: [identity.id] }), STAYS);
  assert.deepEqual(said, [], 'it shows nothing that it has not kept');
});

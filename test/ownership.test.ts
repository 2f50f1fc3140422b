// Who owns what of a finished run: devices, certificates, exported folders, settlements and witnesses, with real processes and offline.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Certificate, certificateText, verifyCertificate } from '../src/audit/certificate.ts';
import type { Holdings } from '../src/audit/shares.ts';
import { CodedError } from '../src/errors.ts';
import { openCheckpoint } from '../src/ledger/checkpoint.ts';
import { loadIdentity } from '../src/protocol/identity-file.ts';
import { entriesOf } from './forged-log.ts';
import { network, type Told, untilStatus } from './network.ts';

const MAIN = join(import.meta.dirname, '..', 'src', 'cli', 'main.ts');
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The exit code and what was said. */
async function result(potluck: Told): Promise<{ code: number | NodeJS.Signals; last: Record<string, unknown> }> {
  return { code: await potluck.ended, last: potluck.lines.at(-1) ?? {} };
}

/** The error of a failing command: a code, and a message for people. */
async function failure(
  potluck: Told,
  exit = 1,
): Promise<{ code: string; message: string; details: Record<string, unknown> }> {
  const { code, last } = await result(potluck);
  assert.equal(code, exit, potluck.stderr());
  return last.error as { code: string; message: string; details: Record<string, unknown> };
}

/** Every way to change one place of a JSON value: each yields the whole with that place changed. */
function* changes(value: unknown): Generator<unknown> {
  if (typeof value === 'string') {
    const at = value.length >> 1;
    yield value.slice(0, at) + (value[at] === '0' ? '1' : '0') + value.slice(at + 1);
    if (value.length > 0) yield value.slice(1);
  } else if (typeof value === 'number') {
    yield value + 1;
    if (value > 0) yield value - 1;
  } else if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) for (const changed of changes(item)) yield value.with(i, changed);
    if (value.length > 0) yield value.slice(1);
    if (value.length > 1) yield [value[1], value[0], ...value.slice(2)];
    if (value.length > 0) yield [...value, value[0]];
  } else if (value !== null && typeof value === 'object') {
    for (const [field, item] of Object.entries(value)) {
      for (const changed of changes(item)) yield { ...value, [field]: changed };
      const { [field as keyof typeof value]: _, ...rest } = value;
      yield rest;
    }
    yield { ...value, more: 1 };
  }
}

test('a finished run: everybody proves what is theirs, and nobody what is not', async (t) => {
  const net = network(t);
  const { url } = await net.hub();
  const run = await net.createRun(
    ...[url, '--rounds', '3', '--steps', '6', '--round-seconds', '120', '--min-workers', '2', '--weights', 'bf16'],
  );
  const [adas, bobs] = ['ada.key', 'bob.key'].map((name) => join(net.folder, name));
  const peers = [
    net.joinTogether(url, 'laptop', '--owner', adas),
    net.joinTogether(url, 'desktop', '--owner', bobs),
    net.joinTogether(url, 'vera', '--owner', adas, '--role', 'validator'),
  ];
  assert.deepEqual(await Promise.all(peers.map((peer) => peer.ended)), [0, 0, 0]);
  await untilStatus(url, run, (status) => status.phase === 'finished');
  const [ada, bob] = await Promise.all([adas, bobs].map(loadIdentity));
  const devices = await Promise.all(
    ['laptop', 'desktop', 'vera'].map((name) => loadIdentity(join(net.folder, name, 'identity.key'))),
  );
  const file = join(net.folder, 'ada.json');
  const made = net.ask(
    'certificate',
    '--run',
    run.slice(0, 12),
    '--hub',
    url,
    '--owner',
    adas,
    '--out',
    file,
    '--json',
  );
  assert.equal(await made.ended, 0, made.stderr());
  const text = readFileSync(file, 'utf8');
  const certificate = verifyCertificate(bytes(text));

  await t.test('the devices of one owner earn for one account', () => {
    assert.equal(certificate.holder.account, ada.id);
    assert.deepEqual(certificate.holder.devices, [devices[0].id, devices[2].id].sort());
    assert.equal(certificate.evidence.submissions, 3);
    assert.equal(certificate.evidence.amount, certificate.amount);
    assert.equal(certificate.evidence.verdicts, 6);
    assert.equal(certificate.total_shares, 3_000_000);
    assert.equal(certificate.shares, 3 * (410_000 + 205_000));
    assert.ok(
      readFileSync(join(net.folder, 'laptop', 'device.certificate'), 'utf8').includes('potluck-device-certificate'),
    );
  });

  await t.test('the certificate verifies in an empty folder, by itself, and by nothing else', async () => {
    const empty = join(net.folder, 'empty');
    mkdirSync(empty);
    cpSync(file, join(empty, 'c.json'));
    const env = { PATH: process.env.PATH, POTLUCK_HOME: join(empty, 'nothing') };
    const verify = (...more: string[]) =>
      spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, 'verify', 'c.json', ...more], {
        cwd: empty,
        env,
        encoding: 'utf8',
      });
    const fine = verify('--hub-id', certificate.hub, '--holder', ada.id);
    assert.equal(fine.status, 0, fine.stderr);
    assert.match(fine.stdout, /VALID certificate[\s\S]*1,845,000 of 3,000,000 \(61\.50 %\)/);
    assert.deepEqual(readdirSync(empty), ['c.json'], 'no key is made, nothing is written');
    const wrongHub = verify('--hub-id', bob.id, '--json');
    assert.equal(wrongHub.status, 1);
    assert.equal(JSON.parse(wrongHub.stdout).error.code, 'wrong-claim');
    writeFileSync(join(empty, 'c.json'), text.replace('"shares": 1845000', '"shares": 1845001'));
    const wrong = verify('--json');
    assert.equal(wrong.status, 1);
    assert.match(JSON.parse(wrong.stdout).error.message, /does not have 1845001 shares/);
  });

  await t.test('a certificate with any field or byte changed is refused with a reason', () => {
    const refused = (changed: string | Uint8Array, what: string): void => {
      try {
        verifyCertificate(typeof changed === 'string' ? bytes(changed) : changed);
      } catch (error) {
        assert.ok(error instanceof CodedError && error.message !== '', `${what}: ${error}`);
        return;
      }
      assert.fail(`accepted: ${what}`);
    };
    let count = 0;
    for (const changed of changes(certificate)) {
      refused(certificateText(changed as Certificate), JSON.stringify(changed).slice(0, 300));
      count++;
    }
    assert.ok(count > 300, `${count} changes`);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = bytes(text);
        changed[at] ^= flip;
        refused(changed, `byte ${at}`);
      }),
      { numRuns: 600 },
    );
    refused(text.trimEnd(), 'no newline');
    refused(`\uFEFF${text}`, 'a byte order mark');
    refused(JSON.stringify(certificate), 'another spelling');
  });

  await t.test('who holds nothing, or asks for another run, gets a reason instead of a certificate', async () => {
    const stranger = net.ask('certificate', '--hub', url, '--holder', 'f'.repeat(64), '--json');
    const other = net.ask('certificate', '--hub', url, '--run', 'zz', '--json');
    assert.equal((await failure(stranger)).code, 'not-a-holder');
    assert.equal((await failure(other)).code, 'unknown-run');
  });

  await t.test('an exported folder tells who made it, and names what was changed', async () => {
    const model = join(net.folder, 'model');
    const exported = net.ask('export', run, model, '--hub', url, '--owner', adas, '--json');
    assert.equal(await exported.ended, 0, exported.stderr());
    const fine = await result(net.ask('verify', model, '--signer', ada.id, '--hub-id', certificate.hub, '--json'));
    assert.equal(fine.code, 0);
    assert.equal(fine.last.stated, true);
    const shares = JSON.parse(readFileSync(join(model, 'shares.json'), 'utf8'));
    assert.equal(shares.model, certificate.model);
    const sum = shares.accounts.reduce((all: number, row: { shares: number }) => all + row.shares, 0);
    assert.equal(sum + shares.unearned_shares, certificate.total_shares);
    writeFileSync(join(model, 'config.json'), '{}');
    writeFileSync(join(model, 'extra.bin'), 'x');
    const { code, details } = await failure(net.ask('verify', model, '--json'));
    assert.deepEqual([code, details.changed, details.added], ['changed-files', ['config.json'], ['extra.bin']]);
  });

  await t.test('balances are settled at the addresses that owners have signed, the others are listed', async () => {
    const address = '0x52908400098527886E0F7030069857D2E4169EE7';
    const named = net.ask('id', 'address', address, '--hub', url, '--owner', adas, '--json');
    assert.equal(await named.ended, 0, named.stderr());
    const out = join(net.folder, 'settlement.json');
    const settled = net.ask(
      'settle',
      '--run',
      run,
      '--hub',
      url,
      '--format',
      'merkle-distributor',
      '--out',
      out,
      '--json',
    );
    assert.equal(await settled.ended, 0, settled.stderr());
    const { claims, tokenTotal, unsettled, unearned_shares } = JSON.parse(readFileSync(out, 'utf8'));
    assert.deepEqual(Object.keys(claims), [address]);
    assert.equal(BigInt(tokenTotal), BigInt(certificate.shares));
    const open = unsettled.reduce((all: number, { shares }: { shares: number }) => all + shares, 0);
    assert.equal(Number(BigInt(tokenTotal)) + open + unearned_shares, certificate.total_shares);
  });

  await t.test('a witness cosigns, the hub serves it, and an older head is caught', async () => {
    const folder = join(net.folder, 'witness');
    const once = (where: string) => net.ask('witness', where, '--once', '--folder', folder, '--json');
    const first = await result(once(url));
    assert.equal(first.code, 0);
    assert.equal(first.last.sent, true);
    const served = await (await fetch(`${url}/log/cosigned`)).text();
    assert.equal(served, first.last.note);
    assert.equal(await (await fetch(`${url}/log/checkpoint`)).text(), served, 'nothing was written since');
    assert.equal((await result(once(url))).code, 0);
    const posted = await fetch(`${url}/log/cosignature`, { method: 'POST', body: 'nonsense' });
    assert.equal(posted.status, 400);
    // The certificate's checkpoint is older: a hub that serves it again has rolled its log back.
    const { size } = openCheckpoint(certificate.checkpoint, { id: certificate.hub });
    const back = createServer((_, response) => response.end(certificate.checkpoint));
    await new Promise<void>((resolve) => back.listen(0, '127.0.0.1', resolve));
    t.after(() => back.close());
    const caught = once(`http://127.0.0.1:${(back.address() as AddressInfo).port}`);
    assert.equal((await failure(caught)).code, 'log-rewritten');
    const proof = caught.lines.find((line) => line.type === 'misbehaviour')!;
    assert.equal(proof.now, certificate.checkpoint);
    assert.match(String(proof.message), new RegExp(`now has ${size}`));
    assert.ok(statSync(String(proof.file)).isFile());
  });

  await t.test('a revoked device is not believed any more, and the certificate says so', async () => {
    const stolen = devices[2].id;
    assert.equal(
      (await failure(net.ask('id', 'revoke', stolen, '--hub', url, '--owner', bobs, '--json'))).code,
      'refused',
    );
    assert.equal(await net.ask('id', 'revoke', stolen, '--hub', url, '--owner', adas, '--json').ended, 0);
    const after = net.ask('certificate', '--hub', url, '--owner', adas, '--out', file, '--json');
    assert.equal(await after.ended, 0, after.stderr());
    const { holder, shares } = verifyCertificate(new Uint8Array(readFileSync(file)));
    assert.deepEqual(holder.revoked, [stolen]);
    assert.equal(shares, certificate.shares, 'what it earned stays');
  });

  await t.test(
    'a run that starts from this one: its part flows to who made the model, and everybody can see why',
    async () => {
      const text = ['--hub', url, '--data', join(net.folder, 'text.txt'), '--json'];
      const size = ['--rounds', '1', '--steps', '4', '--context', '16', '--batch', '4', '--round-seconds', '120'];
      const owed = ['--from-run', run, '--royalty-permille', '300'];
      const creating = net.ask('run', 'create', ...text, ...owed, ...size);
      const child = String((await creating.line(({ type }) => type === 'created')).run);
      const workers = [
        net.joinTogether(url, 'cleo', '--owner', bobs),
        net.joinTogether(url, 'vito', '--role', 'validator'),
      ];
      assert.deepEqual(await Promise.all(workers.map((peer) => peer.ended)), [0, 0]);
      const seen = await result(net.ask('shares', child, '--hub', url, '--json'));
      const { lineage, holders, emitted, unearned } = seen.last as unknown as Holdings;
      assert.deepEqual(lineage, { run, merged_rounds: 3, royalty_permille: 300 });
      const held = holders.reduce((sum, { shares }) => sum + shares, 0);
      assert.deepEqual([emitted, held + unearned], [1_000_000, 1_000_000]);
      const adasPart = holders.find(({ account }) => account === ada.id)!;
      // Ada does nothing in the child: what she holds there is her part of the parent's shares, of 300 permille.
      assert.equal(adasPart.ancestor, true);
      assert.ok(Math.abs(adasPart.shares - (300_000 * certificate.shares) / certificate.total_shares) <= 1);
      const log = await entriesOf(join(net.folder, 'hub'));
      const work = log.find(({ event: { body } }) => body.type === 'work.submitted' && body.run === child)!;
      const why = net.ask('why', work.event.id, '--hub', url);
      assert.equal(await why.ended, 0, why.stderr());
      assert.match(why.stdout(), /300,000 to its ancestor's holders/);
      const audited = net.ask('audit', url, '--json');
      assert.equal(await audited.ended, 0, audited.stdout());
      const none = net.ask('run', 'create', ...text, '--from-run', 'abcdef');
      assert.equal((await failure(none)).code, 'no-such-run');
    },
  );
});

test('a key goes to another machine by words or by file, and never over another key unasked', async (t) => {
  const net = network(t);
  const key = (name: string): string => join(net.folder, name);
  const { last: shown } = await result(net.ask('id', '--owner', key('one'), '--json'));
  const { last: phrase } = await result(net.ask('id', 'phrase', '--owner', key('one'), '--json'));
  const words = String(phrase.phrase);
  const { last: imported } = await result(net.ask('id', 'import', '--phrase', words, '--owner', key('two'), '--json'));
  assert.equal(imported.owner, shown.owner);
  assert.equal(statSync(key('two')).mode & 0o777, 0o600);
  assert.equal(await net.ask('id', 'show', '--owner', key('three')).ended, 0);
  const { code, message } = await failure(net.ask('id', 'import', key('one'), '--owner', key('three'), '--json'));
  assert.equal(code, 'key-exists');
  assert.match(message, /--force/);
  const forced = await result(net.ask('id', 'import', key('one'), '--owner', key('three'), '--force', '--json'));
  assert.equal((await loadIdentity(key('three'))).id, shown.owner);
  assert.notEqual((await loadIdentity(String(forced.last.set_aside))).id, shown.owner, 'the other key is kept');
  const wrong = net.ask('id', 'import', '--phrase', words.slice(words.indexOf(' ')), '--owner', key('x'), '--json');
  assert.equal((await failure(wrong)).code, 'bad-phrase');
});

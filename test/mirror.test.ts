// A hub that is gone can still be audited: its log and blobs as files behind nginx, behind a server that lies in every way a mirror could, and in the folder itself.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hasNginx, serveFiles } from '../src/bench/nginx-files.ts';
import { openCheckpoint, signCheckpoint } from '../src/ledger/checkpoint.ts';
import { originOf } from '../src/ledger/key-names.ts';
import { loadIdentity } from '../src/protocol/identity-file.ts';
import { type Line, network } from './network.ts';

/** What a server answers for a path: null for 404. */
type Answer = { readonly bytes: Uint8Array; readonly type?: string } | null;

/** Serves a folder, or what `lie` makes of it. */
async function serveLies(t: TestContext, folder: string) {
  let lie: (path: string, answer: Answer) => Answer = (_, answer) => answer;
  const server = createServer((request, response) => {
    const path = request.url!.slice(1);
    let answer: Answer = null;
    try {
      answer = { bytes: readFileSync(join(folder, path)) };
    } catch {}
    answer = lie(path, answer);
    response.writeHead(answer ? 200 : 404, { 'content-type': answer?.type ?? 'application/octet-stream' });
    response.end(answer?.bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lies(by: typeof lie) {
      lie = by;
    },
  };
}

const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 40 ? byte ^ 1 : byte));
/** What an audit says, but for where, when, and what only a hub at work can show. */
function findings(line: Line): Line {
  const { where, time_ms, seconds, events_per_second, status_compared, cannot_tell, ...rest } = line;
  return { ...rest, cannot_tell: (cannot_tell as string[]).filter((what) => !/a mirror shows what/.test(what)) };
}

test('audit over a mirror', async (t) => {
  const net = network(t);
  const files = join(net.folder, 'files');
  const { url, potluck } = await net.hub(0, '--no-page', '--mirror-folder', files);
  const run = await net.createRun(url, '--rounds', '2', '--steps', '2', '--round-seconds', '2', '--min-workers', '1');
  const peers = [net.joinTogether(url, 'ada'), net.joinTogether(url, 'vera', '--role', 'validator')];
  assert.deepEqual(await Promise.all(peers.map((peer) => peer.ended)), [0, 0]);
  const receipts = join(net.folder, 'ada', 'runs', run, 'receipts.jsonl');
  const audited = async (...words: string[]): Promise<{ line: Line; code: number | NodeJS.Signals }> => {
    const told = net.ask('audit', ...words, '--json', '--threads', '1');
    const code = await told.ended;
    return { line: told.lines.at(-1) ?? {}, code };
  };
  const over_hub = await audited(url);
  assert.deepEqual([over_hub.code, over_hub.line.verdict], [0, 'true']);
  potluck.process.kill('SIGTERM');
  assert.equal(await potluck.ended, 0);

  await t.test('the folder that the hub left behind: the same as over the hub', async () => {
    const { line, code } = await audited('--mirror', files, '--receipts', receipts);
    assert.equal(code, 0, JSON.stringify(line));
    assert.ok((line.receipts as number) > 2);
    assert.deepEqual(findings({ ...line, receipts: null }), findings(over_hub.line));
    assert.match(
      (line.cannot_tell as string[])[0],
      /^what the hub has signed after these \d+ events, whose last clock says/,
    );
    const shares = net.ask('shares', run, '--hub', files, '--json');
    assert.equal(await shares.ended, 0, shares.stderr());
    assert.equal(shares.lines.at(-1)?.run, run);
  });

  await t.test(
    'behind nginx: the same, with the cache headers of a CDN',
    { skip: !hasNginx() && 'nginx is not installed' },
    async () => {
      const { url: mirror, stop } = await serveFiles(files, join(net.folder, 'nginx'));
      t.after(stop);
      const { line, code } = await audited('--mirror', mirror);
      assert.equal(code, 0, JSON.stringify(line));
      assert.deepEqual(findings(line), findings(over_hub.line));
      const age = async (path: string) => (await fetch(`${mirror}/${path}`)).headers.get('cache-control');
      assert.equal(await age('log/checkpoint'), 'public, max-age=1');
      const [blob] = readdirSync(join(files, 'blobs'));
      assert.equal(await age(`blobs/${blob}`), 'public, max-age=31536000, immutable');
      assert.equal((await fetch(`${mirror}/.aside/`)).status, 404);
    },
  );

  const { url: mirror, lies } = await serveLies(t, files);
  const blobs = readdirSync(join(files, 'blobs'));
  const says = async (how: Parameters<typeof lies>[0], expected: RegExp, ...more: string[]) => {
    lies(how);
    const { line, code } = await audited('--mirror', mirror, ...more);
    assert.equal(code, 1, JSON.stringify(line));
    const { code: kind, message } = (line.type === 'error' ? line.error : line) as { code: string; message: string };
    const said = `${kind}: ${message}`;
    assert.match(said, expected);
    assert.equal(said.trim().split('\n').length, 1, said);
  };

  await t.test('what a mirror could do is found, and named in a line', async () => {
    const size = Number(readFileSync(join(files, 'log', 'checkpoint'), 'utf8').split('\n')[1]);
    await says(
      (path, answer) => (path.startsWith('log/tile/0/') && answer ? { bytes: flipped(answer.bytes) } : answer),
      new RegExp(`^wrong-tile: tile/0/000.p/${size} has other hashes`),
    );
    await says(
      (path, answer) => (path.startsWith('log/tile/0/') ? null : answer),
      new RegExp(`^wrong-tile: tile/0/000.p/${size} is not there`),
    );
    await says(
      (path, answer) => (path.startsWith('log/tile/entries/') ? null : answer),
      new RegExp(`^bad-bundle: the checkpoint has ${size} entries, but tile/entries/000.p/${size} is not served`),
    );
    await says(
      (path, answer) => (path.startsWith('log/tile/entries/') && answer ? { bytes: flipped(answer.bytes) } : answer),
      /^bad-event: /,
    );
    await says(
      (path, answer) => (path.startsWith('blobs/') && answer ? { bytes: flipped(answer.bytes) } : answer),
      new RegExp(`^corrupt-blob: .*(${blobs.join('|')})`),
    );
    await says(
      (path, answer) => (path === 'log/checkpoint' ? null : answer),
      /^not-a-log: no public log at .*: it has no log\/checkpoint/,
    );
    await says(
      (path) =>
        path === 'log/cosigned' ? null : { bytes: Buffer.from('<!doctype html>'), type: 'text/html; charset=utf-8' },
      /^not-a-log: expected a file of a hub's log at .*log\/checkpoint, got a web page/,
    );
  });

  await t.test('an old checkpoint, and that of another hub', async () => {
    const identity = await loadIdentity(join(net.folder, 'hub', 'hub.key'));
    const note = readFileSync(join(files, 'log', 'checkpoint'), 'utf8');
    const { size, root } = openCheckpoint(note, { id: identity.id });
    const old = await signCheckpoint(identity, { origin: originOf(identity.id), size: 3, root });
    const shown = (text: string) => (path: string, answer: Answer) =>
      path === 'log/checkpoint' ? { bytes: Buffer.from(text) } : answer;
    const expected = /is an old mirror: its log\/checkpoint has 3 entries, and a receipt shows \d+ that the hub/;
    await says(shown(old), expected, '--receipts', receipts);
    assert.ok(size > 3);
    await says(shown(note), /^bad-checkpoint: .*expected a log of hub f{64}, got one of/, '--hub-id', 'f'.repeat(64));
    await says(shown(note.replace(/.{8}\n$/, 'AAAAAA==\n')), /^bad-checkpoint: /);
    const both = net.ask('audit', url, '--mirror', mirror);
    assert.equal(await both.ended, 1);
    assert.match(both.stderr(), /expected one place to audit/);
  });
});

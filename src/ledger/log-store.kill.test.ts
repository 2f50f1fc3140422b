// Durability: a process that appends is killed at random moments; no acknowledged entry may be lost, halved or moved.
//
// SIGKILL shows what the process had handed to the system when it died. That it reaches the disk itself is synchronous = FULL's promise,
// which no test on one machine can show. POTLUCK_KILLS=1000 runs more than the default.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { identityFromSecret } from '../protocol/identity.ts';
import { openSqliteLogStore } from './sqlite-log-store.ts';
import { verifyLog } from './testing/verify-log.ts';
import { openTransparencyLog } from './transparency-log.ts';

const KILLS = Number(process.env.POTLUCK_KILLS ?? 20);
/** Every kill is followed by a check of the whole log, so a new one is begun before that takes long. */
const KILLS_PER_LOG = 20;
assert.ok(KILLS > 0 && KILLS % KILLS_PER_LOG === 0, `POTLUCK_KILLS must be a multiple of ${KILLS_PER_LOG}`);
/** The longest time from a child's first acknowledgement to its death. */
const MAX_LIFE_MS = 40;

const root = mkdtempSync(join(tmpdir(), 'potluck-kill-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** An entry: its index, which entry of how many of its call it is, filling, and a hash of all that. */
interface Parts {
  readonly index: number;
  readonly place: number;
  readonly of: number;
}

function parse(entry: Uint8Array): Parts {
  const bytes = Buffer.from(entry);
  const digest = createHash('sha256').update(bytes.subarray(0, -32)).digest();
  assert.ok(digest.equals(bytes.subarray(-32)), 'half of an entry');
  return { index: bytes.readUInt32BE(0), place: bytes.readUInt32BE(4), of: bytes.readUInt32BE(8) };
}

/** The child: several appenders at once, calls of one to five entries of up to 3 kB, a line on stdout for each acknowledged call. */
const CHILD = `
  import { createHash, randomBytes, randomInt } from 'node:crypto';
  import { openSqliteLogStore } from ${JSON.stringify(join(import.meta.dirname, 'sqlite-log-store.ts'))};
  const [path, kind] = process.argv.slice(1);
  let log = openSqliteLogStore(path);
  if (kind === 'tree') {
    const { openTransparencyLog } = await import(${JSON.stringify(join(import.meta.dirname, 'transparency-log.ts'))});
    const { identityFromSecret } = await import(${JSON.stringify(join(import.meta.dirname, '..', 'protocol', 'identity.ts'))});
    log = openTransparencyLog(log, identityFromSecret(new Uint8Array(32).fill(1)), { origin: 'kill' });
  }
  let next = log.size;
  async function appender() {
    for (;;) {
      const of = randomInt(1, 6);
      const entries = Array.from({ length: of }, (_, place) => {
        const head = Buffer.alloc(12);
        head.writeUInt32BE(next++, 0);
        head.writeUInt32BE(place, 4);
        head.writeUInt32BE(of, 8);
        const body = Buffer.concat([head, randomBytes(randomInt(0, 3000))]);
        return Buffer.concat([body, createHash('sha256').update(body).digest()]);
      });
      const first = await log.append(entries);
      // On Linux and macOS a pipe is written at once: the line is out before the next step.
      process.stdout.write(entries.map((entry, i) => (first + i) + ' ' + createHash('sha256').update(entry).digest('hex') + '\\n').join(''));
      if (kind === 'tree' && first % 50 === 0) await log.checkpoint();
    }
  }
  for (let i = 0; i < 8; i++) appender();
`;

test(`${KILLS} kills: every acknowledged entry is there, whole, in order, and calls are all or nothing`, async () => {
  let path = '';
  let acknowledged = new Map<number, string>();
  let checked = 0;
  let unacknowledged = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    if (kill % KILLS_PER_LOG === 0) {
      path = join(root, `log-${kill}.sqlite`);
      acknowledged = new Map();
    }
    // Every fourth with the Merkle tree on top, which takes longer to load.
    const kind = kill % 4 === 3 ? 'tree' : 'plain';
    const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD, path, kind], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = once(child, 'close');
    let output = '';
    child.stdout.setEncoding('utf8');
    child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), randomInt(0, MAX_LIFE_MS)));
    child.stdout.on('data', (chunk: string) => {
      output += chunk;
    });
    const [code, signal] = await closed;
    assert.equal(signal, 'SIGKILL', `the child ended by itself with ${code}`);
    // The last line may be cut off: then nobody has been told.
    for (const line of output.split('\n').slice(0, -1)) {
      const [index, hash] = line.split(' ');
      assert.ok(!acknowledged.has(Number(index)), `index ${index} was given twice`);
      acknowledged.set(Number(index), hash);
    }

    const store = openSqliteLogStore(path);
    const log = openTransparencyLog(store, identityFromSecret(new Uint8Array(32).fill(1)), { origin: 'kill' });
    const entries = log.read(0, log.size);
    let place = 0;
    let of = 0;
    entries.forEach((entry, i) => {
      const parts = parse(entry);
      assert.equal(parts.index, i, 'entries have moved');
      if (place === of) [place, of] = [0, parts.of];
      assert.equal(parts.of, of, `entry ${i} interrupts a call`);
      assert.equal(parts.place, place++, `entry ${i} is out of its call's order`);
    });
    assert.equal(place, of, 'the last call is there in part');
    for (const [index, hash] of acknowledged) {
      assert.ok(index < entries.length, `entry ${index} was acknowledged and is lost`);
      assert.equal(
        createHash('sha256').update(entries[index]).digest('hex'),
        hash,
        `entry ${index} is not what was acknowledged`,
      );
    }
    unacknowledged += entries.length - acknowledged.size;
    for (let index = 0; index < entries.length; index++)
      acknowledged.set(index, createHash('sha256').update(entries[index]).digest('hex'));
    if (kill % KILLS_PER_LOG === KILLS_PER_LOG - 1) {
      verifyLog(log);
      checked += log.size;
    }
    await store.close();
  }
  assert.ok(checked > KILLS, 'hardly anything was appended: the test shows nothing');
  console.log(`${KILLS} kills, ${checked} entries, ${unacknowledged} durable before they were acknowledged`);
});

// shares.json and log-checkpoint.txt beside an exported model: who made it, in which run, as the hub stated it in its signed log.
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { openBareCheckpoint, openProven, ProvenEventSchema, proveEvent } from '../audit/certificate-event.ts';
import { OwnershipError } from '../audit/ownership-errors.ts';
import { replayLog } from '../audit/ownership-log.ts';
import { arrivedWith, beginningOf } from '../audit/run-beginning.ts';
import { CORE_LIMITS } from '../core/limits.ts';
import { type ShareRow, shareTable, verifyTable } from '../core/shares/share-table.ts';
import { nameOfFolder } from '../model/checkpoint-folder.ts';
import { signFolder, type VerifiedFolder, verifyFolder } from '../model/manifest.ts';
import type { Identity } from '../protocol/identity.ts';
import { UnitSchema } from '../protocol/measures.ts';
import { count, hash } from '../protocol/schemas.ts';

const SHARES_FILE = 'shares.json';
const CHECKPOINT_FILE = 'log-checkpoint.txt';
const WEIGHTS_FILE = 'model.safetensors';
/** Some 150 bytes an account. */
const MAX_SHARES_BYTES = 64 * 2 ** 20;

const SharesFileSchema = z.strictObject({
  format: z.literal('potluck-shares-v2'),
  hub: hash,
  run: hash,
  name: z.string().min(1).max(CORE_LIMITS.name_characters),
  model: hash,
  merged_rounds: count,
  unearned_shares: count,
  /** What the run counts work in. */
  unit: UnitSchema,
  accounts: z.array(z.strictObject({ account: hash, shares: count, amount: count })).max(2 * CORE_LIMITS.peers_per_run),
  /** The run's first event, or its arrival from another log, and the hub's statement of this table; null for a model whose shares the hub has not stated. */
  proof: z.strictObject({ created: ProvenEventSchema, stated: ProvenEventSchema }).nullable(),
});
export type SharesFile = z.infer<typeof SharesFileSchema>;

/** Adds shares.json, the log's checkpoint and a signed manifest to an exported model. Returns the paths. */
export async function addProvenance(
  where: string,
  taken: { readonly run: string; readonly model: string },
  dir: string,
  signer: Identity,
): Promise<string[]> {
  const { file, checkpoint } = await sharesOfModel(where, taken);
  await writeFile(join(dir, SHARES_FILE), `${JSON.stringify(file, null, 2)}\n`);
  await writeFile(join(dir, CHECKPOINT_FILE), checkpoint);
  const manifest = await signFolder(dir, signer);
  return [join(dir, SHARES_FILE), join(dir, CHECKPOINT_FILE), manifest];
}

type FoundTable = Pick<SharesFile, 'merged_rounds' | 'unearned_shares' | 'name' | 'unit'> & {
  readonly rows: ShareRow[];
};

/** The table of shares when a model was made, with the hub's statement where there is one. */
async function sharesOfModel(
  where: string,
  { run: id, model }: { readonly run: string; readonly model: string },
): Promise<{ readonly file: SharesFile; readonly checkpoint: string }> {
  let table: FoundTable | null = null;
  let created: { index: number; bytes: Uint8Array } | null = null;
  let stated: { index: number; bytes: Uint8Array } | null = null;
  const log = await replayLog(where, (event, index, bytes, state) => {
    const { body } = event;
    // The arrival from another log has the run's first event in it; the run is there with the last of its parts.
    if (body.type === 'run.arrived' && body.run === id) created ??= { index, bytes: bytes.slice() };
    const about = body.type === 'run.created' ? event.id : 'run' in body ? body.run : null;
    const run = about === id ? state.runs.get(id) : undefined;
    if (!run) return;
    if (body.type === 'run.created') created = { index, bytes: bytes.slice() };
    if (body.type === 'shares.stated' && body.model === model) stated = { index, bytes: bytes.slice() };
    const begins = body.type === 'run.created' || arrivedWith(event, state) !== null;
    if ((body.type === 'round.merged' || begins) && run.model === model) {
      const { round: merged_rounds, unearned_shares } = run;
      const { name, unit } = run.spec;
      table = { rows: shareTable(run), merged_rounds, unearned_shares, name, unit };
    }
  });
  const found = table as FoundTable | null;
  if (!found || !created) throw new OwnershipError('unknown-run', `the log knows no model ${model} of run ${id}`);
  const prove = ({ index, bytes }: { index: number; bytes: Uint8Array }) =>
    proveEvent(bytes, index, log.size, log.node);
  return {
    checkpoint: log.checkpoint,
    file: {
      format: 'potluck-shares-v2',
      hub: log.hub,
      run: id,
      name: found.name,
      model,
      merged_rounds: found.merged_rounds,
      unearned_shares: found.unearned_shares,
      unit: found.unit,
      accounts: found.rows,
      proof: stated ? { created: prove(created), stated: prove(stated) } : null,
    },
  };
}

/** What a verified folder shows. `shares` is null for a folder that another tool signed; `stated` whether the hub vouches for the table. */
export interface CheckedFolder extends VerifiedFolder {
  readonly shares: SharesFile | null;
  readonly stated: boolean;
}

/**
 * Verifies an exported folder with nothing else at hand: the manifest, that the weights are the model that shares.json names, and that the
 * table is the one that the hub stated in its signed log.
 * Throws ModelError (verifyFolder), OwnershipError `malformed`, `bad-proof`, `bad-signature`, `wrong-claim`, `too-large`.
 */
export async function checkFolder(dir: string): Promise<CheckedFolder> {
  const folder = await verifyFolder(dir);
  if (!folder.files.has(SHARES_FILE)) return { ...folder, shares: null, stated: false };
  const shares = await readShares(join(dir, SHARES_FILE));
  const weights = await nameOfFolder(dir);
  if (weights !== shares.model) {
    throw new OwnershipError(
      'wrong-claim',
      `${WEIGHTS_FILE} is model ${weights}, ${SHARES_FILE} speaks of ${shares.model}`,
    );
  }
  const note = await readFile(join(dir, CHECKPOINT_FILE), 'utf8').catch(() => null);
  if (note === null) throw new OwnershipError('malformed', `${CHECKPOINT_FILE} is missing in ${dir}`);
  const head = openBareCheckpoint(note, shares.hub);
  if (shares.proof === null) return { ...folder, shares, stated: false };
  const began = beginningOf(openProven(shares.proof.created, head));
  const { author, body } = openProven(shares.proof.stated, head);
  const { run, model, merged_rounds, unearned_shares } = shares;
  const fits =
    began?.run === run &&
    began.created.name === shares.name &&
    began.created.unit === shares.unit &&
    body.type === 'shares.stated' &&
    author === shares.hub &&
    body.run === run &&
    body.model === model &&
    body.merged_rounds === merged_rounds &&
    body.unearned_shares === unearned_shares &&
    verifyTable(body, shares.accounts);
  if (!fits) throw new OwnershipError('wrong-claim', `${SHARES_FILE}: the hub has stated something else in its log`);
  return { ...folder, shares, stated: true };
}

async function readShares(path: string): Promise<SharesFile> {
  const { size } = await stat(path);
  if (size > MAX_SHARES_BYTES) {
    throw new OwnershipError('too-large', `${SHARES_FILE}: ${size} bytes, at most ${MAX_SHARES_BYTES} are read`);
  }
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch {
    throw new OwnershipError('malformed', `${SHARES_FILE}: expected JSON`);
  }
  const parsed = SharesFileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new OwnershipError('malformed', `${SHARES_FILE}: ${issue.path.join('.') || 'the whole'}: ${issue.message}`);
}

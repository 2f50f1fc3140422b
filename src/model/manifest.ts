// A signed list of a model folder's files: the OpenSSF Model Signing format, version 1.0 (github.com/ossf/model-signing-spec), with a bare key.
//
// model.sig is a Sigstore bundle in JSON that contains a DSSE envelope with an in-toto Statement, which lists every file with its SHA-256.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { type Identity, isPeerId, publicKeyOf, verifySignature } from '../protocol/identity.ts';
import { hash } from '../protocol/schemas.ts';
import { ModelError } from './errors.ts';

export const MANIFEST_FILE = 'model.sig';
const MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
const PREDICATE_TYPE = 'https://model_signing/signature/v1.0';
/** Every signer leaves these out (section 6.2), at the top of the folder only. */
const IGNORED = ['.git', '.gitattributes', '.github', '.gitignore'];
/** A file takes some 200 bytes of it; a folder with more files than fit is not a model. */
const MAX_MANIFEST_BYTES = 16 * 2 ** 20;
/** How deep folders may be nested. Links are refused, so there are no circles. */
const MAX_DEPTH = 32;

const base64 = z.base64().min(1);
const BundleSchema = z.strictObject({
  mediaType: z.literal(MEDIA_TYPE),
  verificationMaterial: z.strictObject({ publicKey: z.strictObject({ hint: z.string() }) }),
  dsseEnvelope: z.strictObject({
    payload: base64,
    payloadType: z.literal(PAYLOAD_TYPE),
    signatures: z.array(z.strictObject({ sig: base64, keyid: z.string() })).length(1),
  }),
});

const StatementSchema = z.strictObject({
  _type: z.literal(STATEMENT_TYPE),
  subject: z.array(z.strictObject({ name: z.string().min(1), digest: z.strictObject({ sha256: hash }) })).length(1),
  predicateType: z.literal(PREDICATE_TYPE),
  predicate: z.strictObject({
    resources: z
      .array(z.strictObject({ name: z.string().min(1), digest: hash, algorithm: z.literal('sha256') }))
      .min(1),
    serialization: z.strictObject({
      method: z.literal('files'),
      hash_type: z.literal('sha256'),
      allow_symlinks: z.literal(false),
      ignore_paths: z.array(z.string()).optional(),
    }),
  }),
});

/** What a folder's manifest proves. */
export interface VerifiedFolder {
  /** The id of the signing key; the reader must know whose key it is. */
  readonly signer: string;
  /** Each file with its SHA-256. */
  readonly files: ReadonlyMap<string, string>;
}

/**
 * Signs all files of a folder, including folders in it, and writes model.sig beside them.
 * Throws ModelError `bad-manifest` for a link, for a folder without files and for names that are not plain text.
 */
export async function signFolder(dir: string, signer: Identity): Promise<string> {
  const files = await hashFiles(dir);
  if (files.size === 0) throw new ModelError('bad-manifest', `${dir} has no files to sign`);
  const resources = [...files].map(([name, digest]) => ({ name, digest, algorithm: 'sha256' }));
  const payload = JSON.stringify({
    _type: STATEMENT_TYPE,
    subject: [{ name: basename(resolve(dir)), digest: { sha256: rootDigest(files.values()) } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      resources,
      serialization: {
        method: 'files',
        hash_type: 'sha256',
        allow_symlinks: false,
        ignore_paths: [...IGNORED, MANIFEST_FILE],
      },
    },
  });
  const sig = await signer.sign(preAuthentication(utf8(payload)));
  const bundle = {
    mediaType: MEDIA_TYPE,
    verificationMaterial: { publicKey: { hint: keyHint(signer.id) } },
    dsseEnvelope: {
      payload: Buffer.from(payload).toString('base64'),
      payloadType: PAYLOAD_TYPE,
      // The specification leaves keyid free; here it is the whole public key, so that a folder can be verified by itself.
      signatures: [{ sig: Buffer.from(sig).toString('base64'), keyid: signer.id }],
    },
  };
  const path = join(dir, MANIFEST_FILE);
  await writeFile(path, `${JSON.stringify(bundle, null, 2)}\n`);
  return path;
}

/**
 * Verifies a folder against its model.sig: the signature, and that no file was changed, removed or added.
 * Throws ModelError `missing-file` (no manifest), `bad-manifest`, `bad-signature`, `changed-files` (naming them).
 */
export async function verifyFolder(dir: string): Promise<VerifiedFolder> {
  const { signer, files } = openManifest(await readManifest(dir));
  const found = await hashFiles(dir);
  const changed = [...files].filter(([name, digest]) => found.has(name) && found.get(name) !== digest);
  const missing = [...files.keys()].filter((name) => !found.has(name));
  const added = [...found.keys()].filter((name) => !files.has(name));
  const parts = [
    ...changed.map(([name]) => `${name} was changed`),
    ...missing.map((name) => `${name} is missing`),
    ...added.map((name) => `${name} was added`),
  ];
  if (parts.length > 0) {
    const shown = parts.length > 10 ? [...parts.slice(0, 10), `${parts.length - 10} more`] : parts;
    throw new ModelError('changed-files', `${dir} is not what was signed: ${shown.join(', ')}`, {
      changed: changed.map(([name]) => name),
      missing,
      added,
    });
  }
  return { signer, files };
}

/** The content of a manifest, after its signature is found to be by the key that it names. */
export function openManifest(text: string): VerifiedFolder {
  const { verificationMaterial, dsseEnvelope } = parse(BundleSchema, text, 'model.sig');
  const [{ sig, keyid }] = dsseEnvelope.signatures;
  if (!isPeerId(keyid)) {
    throw new ModelError('bad-manifest', 'model.sig: expected an Ed25519 key of 64 hexadecimal digits as keyid');
  }
  if (verificationMaterial.publicKey.hint !== keyHint(keyid)) {
    throw new ModelError('bad-signature', "model.sig: the hint is not the fingerprint of the signature's key");
  }
  const payload = new Uint8Array(Buffer.from(dsseEnvelope.payload, 'base64'));
  if (!verifySignature(keyid, preAuthentication(payload), new Uint8Array(Buffer.from(sig, 'base64')))) {
    throw new ModelError('bad-signature', `model.sig: the signature is not one by ${keyid} over this list of files`);
  }
  const { subject, predicate } = parse(StatementSchema, new TextDecoder().decode(payload), 'the signed statement');
  const names = predicate.resources.map(({ name }) => name);
  if (names.some((name, i) => i > 0 && inOrder(name, names[i - 1]) <= 0)) {
    throw new ModelError('bad-manifest', 'the signed statement: expected the files in order of name, each once');
  }
  const files = new Map(predicate.resources.map(({ name, digest }) => [name, digest]));
  if (subject[0].digest.sha256 !== rootDigest(files.values())) {
    throw new ModelError('bad-manifest', "the signed statement: the subject is not the digest of the files' digests");
  }
  return { signer: keyid, files };
}

async function readManifest(dir: string): Promise<string> {
  const path = join(dir, MANIFEST_FILE);
  const found = await stat(path).catch(() => null);
  if (!found?.isFile())
    throw new ModelError('missing-file', `${MANIFEST_FILE} is missing in ${dir}`, { name: MANIFEST_FILE });
  if (found.size > MAX_MANIFEST_BYTES) {
    throw new ModelError('too-large', `${MANIFEST_FILE}: ${found.size} bytes, at most ${MAX_MANIFEST_BYTES} are read`);
  }
  return readFile(path, 'utf8');
}

function parse<T>(schema: z.ZodType<T>, text: string, what: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ModelError('bad-manifest', `${what}: expected JSON`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ModelError('bad-manifest', `${what}: ${issue.path.join('.') || 'the whole'}: ${issue.message}`);
}

/** SHA-256 over the raw digests in order (section 6.5.1). */
function rootDigest(digests: Iterable<string>): string {
  return sha256Hex(new Uint8Array(Buffer.from([...digests].join(''), 'hex')));
}

/** DSSE's pre-authentication encoding: the bytes that are signed. */
function preAuthentication(payload: Uint8Array): Uint8Array {
  const head = utf8(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `);
  const message = new Uint8Array(head.length + payload.length);
  message.set(head);
  message.set(payload, head.length);
  return message;
}

/** The fingerprint that the reference implementation uses: SHA-256 of the public key in PEM (RFC 8410). */
function keyHint(id: string): string {
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicKeyOf(id)]);
  return sha256Hex(utf8(`-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`));
}

/** Every file of a folder by its path with forward slashes, in order of code points, with its SHA-256. */
async function hashFiles(dir: string): Promise<Map<string, string>> {
  const names: string[] = [];
  const walk = async (below: string, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH) throw new ModelError('bad-manifest', `${dir}: folders are nested deeper than ${MAX_DEPTH}`);
    for (const entry of await readdir(join(dir, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (below === '' && (entry.name === MANIFEST_FILE || IGNORED.includes(entry.name))) continue;
      if (entry.isDirectory()) await walk(path, depth + 1);
      else if (entry.isFile() && entry.name.isWellFormed() && !entry.name.includes('\ufffd')) names.push(path);
      else
        throw new ModelError('bad-manifest', `${path}: expected a plain file with a plain name, not a link or device`);
    }
  };
  await walk('', 0);
  names.sort(inOrder);
  const files = new Map<string, string>();
  for (const name of names) files.set(name, await hashFile(join(dir, name)));
  return files;
}

/** The order of code points, which is also that of UTF-8 bytes. */
function inOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

async function hashFile(path: string): Promise<string> {
  const hasher = createHash('sha256');
  for await (const chunk of createReadStream(path)) hasher.update(chunk as Buffer);
  return hasher.digest('hex');
}

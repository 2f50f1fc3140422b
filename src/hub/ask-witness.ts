// The hub's side of c2sp.org/tlog-witness: sends witnesses every new head of the log, and stores the cosignatures that they answer.
import { SIZE_TYPE, writeAddCheckpoint } from '../ledger/add-checkpoint.ts';
import { NOTE_COSIGNATURE_V1, type NoteKey, parseVerifierKey } from '../ledger/signed-note.ts';
import type { TransparencyLog } from '../ledger/transparency-log.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import type { Cosignatures } from './cosignatures.ts';
import { HubError } from './errors.ts';

/** How often a growing log is cosigned at most; while the log stands still, no witness is asked. */
const ASK_EVERY_MS = 15_000;
const REQUEST_MS = 10_000;
/** A handful of signature lines; a longer answer is something else. */
const ANSWER_BYTES = 16_384;

export interface WitnessAddress {
  readonly key: NoteKey;
  /** The submission prefix. */
  readonly url: string;
}

/** Parses "NAME+HASH+KEY URL", the usual text form of a witness. Throws LedgerError `malformed`, HubError `bad-witness`. */
export function parseWitness(text: string): WitnessAddress {
  const [vkey, url, ...rest] = text.trim().split(/\s+/);
  const address = URL.parse(url ?? '');
  if (rest.length > 0 || !address || !/^https?:$/.test(address.protocol)) {
    throw new HubError('bad-witness', `expected "NAME+HASH+KEY URL", got ${JSON.stringify(text.slice(0, 200))}`);
  }
  const { key, type } = parseVerifierKey(vkey);
  if (type === NOTE_COSIGNATURE_V1) return { key, url: url.replace(/\/+$/, '') };
  throw new HubError('bad-witness', `expected the key of a witness (cosignature/v1), got one of type ${type}`);
}

export interface AskingOptions {
  readonly log: Pick<TransparencyLog, 'checkpoint' | 'consistencyProof'>;
  readonly cosignatures: Pick<Cosignatures, 'addBy'>;
  readonly clock: Clock;
  readonly onError: (error: unknown, where: string) => void;
}

/** Asks a witness whenever the log has grown, until it is closed. A failure is reported once, until the witness answers again. */
export function keepAsking(witness: WitnessAddress, options: AskingOptions): { close(): void } {
  const { clock, onError } = options;
  const closing = new AbortController();
  let timer: Timer;
  let cosigned = 0;
  let isReported = false;
  const ask = async (): Promise<void> => {
    try {
      cosigned = await askWitness(witness, cosigned, options, closing.signal);
      isReported = false;
    } catch (error) {
      if (!isReported && !closing.signal.aborted) onError(error, `asking the witness ${witness.key.name}`);
      isReported = true;
    }
    if (!closing.signal.aborted) timer = clock.setTimeout(() => void ask(), ASK_EVERY_MS);
  };
  void ask();
  return {
    close() {
      closing.abort();
      clock.clearTimeout(timer);
    },
  };
}

/**
 * Sends a witness the current head, once. Resolves to the size that it has cosigned.
 * @param old_size the size that it cosigned last, as far as is known; the witness corrects it
 * Throws HubError `bad-witness`, LedgerError `bad-signature`, `malformed`, and what fetch throws.
 */
export async function askWitness(
  witness: WitnessAddress,
  old_size: number,
  { log, cosignatures }: Pick<AskingOptions, 'log' | 'cosignatures'>,
  signal: AbortSignal,
): Promise<number> {
  const { note, size } = await log.checkpoint();
  if (size === 0 || size === old_size) return old_size;
  const post = async (from: number) => {
    const proof = from === 0 ? [] : log.consistencyProof(from, size);
    const response = await fetch(`${witness.url}/add-checkpoint`, {
      method: 'POST',
      body: writeAddCheckpoint({ old_size: from, proof, note }),
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]),
    });
    return { response, text: (await response.text()).slice(0, ANSWER_BYTES) };
  };
  let { response, text } = await post(old_size);
  const known = response.headers.get('content-type')?.startsWith(SIZE_TYPE) ? Number(text) : Number.NaN;
  // It last saw another head of this log, maybe from a hub that lost its log. If that head is larger than ours, people must look.
  if (response.status === 409 && known !== old_size && known <= size) ({ response, text } = await post(known));
  if (!response.ok) {
    const message = `the witness ${witness.key.name} answered ${response.status}: ${text.trim().slice(0, 200)}`;
    throw new HubError('bad-witness', message, { status: response.status });
  }
  cosignatures.addBy(note + text, witness.key);
  return size;
}

// An entry of a hub's log with its proof, as the hub serves it, in the form in which other logs name it.
import { type ForeignEvent, foreignEvent } from '../core/moving/foreign-event.ts';
import { takeApart } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { originOf } from '../ledger/key-names.ts';
import { parseTlogProof } from '../ledger/tlog-proof.ts';
import { openLine } from '../protocol/line.ts';
import { PeerError } from '../protocol/peer-errors.ts';

const PROOF_BYTES = 1 << 20; // of one entry

/**
 * Fetches a .tlog-proof that holds its entry, by its path at the hub. Nothing in it is verified here: the core does that (`openForeign`).
 * Throws PeerError `not-a-hub`, `hub-unreachable`.
 */
export async function provenEntry(url: string, hub: string, path: string): Promise<ForeignEvent> {
  const line = openLine();
  try {
    const address = new URL(path, url).href;
    const { status, bytes } = await line.ask({ url: address, init: () => ({}), max_bytes: PROOF_BYTES });
    if (status !== 200)
      throw new PeerError('not-a-hub', `expected an entry with its proof at ${address}, got the answer ${status}`);
    const { index, proof, note, extra } = parseTlogProof(new TextDecoder().decode(bytes));
    if (!extra) throw new PeerError('not-a-hub', `the proof at ${address} comes without the entry`);
    const head = takeApart(note, { id: hub, name: originOf(hub) });
    return foreignEvent(hub, head, { index, event: extra, inclusion_proof: [...proof] });
  } catch (error) {
    if (error instanceof LedgerError) throw new PeerError('not-a-hub', `the proof at ${url}${path}: ${error.message}`);
    throw error;
  } finally {
    line.close();
  }
}

// Where in a registry's log each run was listed last.
import { decodeEvent } from '../../core/codec.ts';
import type { NetworkState } from '../../core/state.ts';
import { TILE_WIDTH } from '../../ledger/tiles.ts';
import type { Sequencer } from '../sequencer.ts';

export interface ListedRuns {
  /** The index of the run's last `run.listed`; null where it is not listed. */
  entryOf(run: string): number | null;
}

/** What the bytes of such an event have in them; few others do. */
const MARK = Buffer.from('run.listed');

/** Reads a log that lists runs once, and hears of more from then on. */
export function openListedRuns(
  log: { readonly size: number; read(from: number, to: number): Uint8Array[] },
  { state, onEvent }: Pick<Sequencer, 'onEvent'> & { readonly state: Pick<NetworkState, 'directory'> },
): ListedRuns {
  const entries = new Map<string, number>();
  const { size } = log;
  for (let from = 0; from < size && state.directory.size > 0; from += TILE_WIDTH) {
    for (const [i, bytes] of log.read(from, Math.min(size, from + TILE_WIDTH)).entries()) {
      if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(MARK)) continue;
      const { body } = decodeEvent(bytes, { verify_signature: false });
      if (body.type === 'run.listed') entries.set(body.run, from + i);
    }
  }
  onEvent(({ body }, index) => {
    if (body.type === 'run.listed') entries.set(body.run, index);
  });
  return { entryOf: (run) => entries.get(run) ?? null };
}

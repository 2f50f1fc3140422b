// What a person should know before a tab begins: how much it downloads, and reasons against using this device now.
import { useEffect, useState } from 'preact/hooks';
import { downloadBytes, WASM_FILES } from '../tab/ort-files.ts';
import type { PauseReason } from '../tab/state.ts';
import { type SurroundingsWatch, watchSurroundings } from '../tab/surroundings.ts';
import tabWorker from '../tab/worker.ts?worker&url';

/** Bytes over the wire; null until the hub has told them. */
export function useDownloadBytes(): number | null {
  const [size_bytes, setSize] = useState<number | null>(null);
  useEffect(() => void downloadBytes([...Object.values(WASM_FILES), tabWorker]).then(setSize), []);
  return size_bytes;
}

/** Why this device would pause at once. */
export function useReluctance(): readonly PauseReason[] {
  const [pauses, setPauses] = useState<readonly PauseReason[]>([]);
  useEffect(() => {
    const watch: SurroundingsWatch = watchSurroundings(({ pauses }) =>
      setPauses((before) => (before.join() === pauses.join() ? before : pauses)),
    );
    return watch.close;
  }, []);
  return pauses;
}

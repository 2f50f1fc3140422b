// Downloads the files of WASM before it starts, so that the progress can be shown; the runtime then finds them in the browser's cache.
import { downloadBytes, WASM_FILES } from './ort-files.ts';

/** The uncompressed size of the file, because that is what is counted while it comes. */

const TOLD_EVERY_MS = 200;

/** The progress, as bytes over the wire; the ratio is exact. */
export interface Loading {
  readonly done_bytes: number;
  readonly total_bytes: number;
}

/** Never rejects: a failed download fails again, with its reason, when the runtime starts. */
export async function fetchWasm(tell: (loading: Loading | null) => void): Promise<void> {
  try {
    const [response, total_bytes] = await Promise.all([fetch(WASM_FILES.wasm), downloadBytes([WASM_FILES.wasm])]);
    const reader = response.body?.getReader();
    let come_bytes = 0;
    let told_ms = performance.now();
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      come_bytes += part.value.length;
      if (total_bytes === null || performance.now() - told_ms < TOLD_EVERY_MS) continue;
      told_ms = performance.now();
      tell({ done_bytes: Math.round((total_bytes * Math.min(come_bytes, WASM_BYTES)) / WASM_BYTES), total_bytes });
    }
  } catch {
    // The start of the runtime reports it.
  } finally {
    tell(null);
  }
}

// Frees the memory of arrays at once: a collection of garbage may be long in coming, and tensors are most of what a process holds.

/** Frees what is behind these arrays, which nobody may use afterwards. Shared memory stays. */
export function free(...arrays: readonly ArrayBufferView[]): void {
  for (const { buffer } of arrays) if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

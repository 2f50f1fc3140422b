// A drawer in memory, for work that need not survive the process.
import type { Drawer } from './drawer.ts';

export function memoryDrawer(): Drawer {
  const kept = new Map<string, Uint8Array>();
  return {
    get: async (name) => kept.get(name) ?? null,
    put: async (name, bytes) => void kept.set(name, bytes),
    delete: async (name) => void kept.delete(name),
  };
}

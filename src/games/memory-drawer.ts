// A drawer that lasts as long as its device: for work that is not to survive the process.
import type { Device } from './game.ts';

export function memoryDrawer(): Device['drawer'] {
  const kept = new Map<string, Uint8Array>();
  return {
    get: async (name) => kept.get(name) ?? null,
    put: async (name, bytes) => void kept.set(name, bytes),
    delete: async (name) => void kept.delete(name),
  };
}

// Conditions that do not flicker: one comes into force when it has held for a while, and goes when its contrary has.

export interface Held {
  readonly active: boolean;
  /** Since when, by elapsed time, what would change it has held without a break; null: it does not hold. */
  readonly changing_ms: number | null;
}

export interface Latch {
  /** It is so now. */
  readonly on: boolean;
  /** It is clearly not so any more; between the two nothing changes. */
  readonly off: boolean;
  /** How long `on` must hold to count, and `off` to end it. */
  readonly on_after_ms: number;
  readonly off_after_ms: number;
}

export const NOT_HELD: Held = { active: false, changing_ms: null };

/** @returns how things stand now; `elapsed_ms` only ever grows */
export function latch(held: Held, { on, off, on_after_ms, off_after_ms }: Latch, elapsed_ms: number): Held {
  const changes = held.active ? off : on;
  if (!changes) return { active: held.active, changing_ms: null };
  const since_ms = held.changing_ms ?? elapsed_ms;
  const needed_ms = held.active ? off_after_ms : on_after_ms;
  if (elapsed_ms - since_ms < needed_ms) return { active: held.active, changing_ms: since_ms };
  return { active: !held.active, changing_ms: null };
}

// Refuses options that are given twice.
import type { Command } from 'commander';

/**
 * Refuses a single-valued option that is given twice, because commander would silently ignore the first one. Options that collect values
 * have a list as their default.
 */
export function refuseRepeats(command: Command): void {
  for (const option of command.options) {
    if (option.isBoolean() || option.variadic || Array.isArray(option.defaultValue)) continue;
    let given = 0;
    command.on(`option:${option.name()}`, () => {
      if (++given > 1) command.error(`error: option '${option.flags}' is given twice, and only one counts`);
    });
  }
}

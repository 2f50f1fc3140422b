// What a command prints on standard output when it runs in a test's own process.
import { mock } from 'node:test';
import type { Command } from 'commander';

/** Runs a command with these arguments. Throws what it throws. */
export async function printed(command: Command, ...args: string[]): Promise<string> {
  const lines: string[] = [];
  // The runner's own words, which are bytes, pass through.
  const through = process.stdout.write.bind(process.stdout);
  const write = mock.method(process.stdout, 'write', (text: string | Uint8Array, ...more: []) =>
    typeof text === 'string' ? lines.push(text) > 0 : through(text, ...more),
  );
  try {
    await command.parseAsync(args, { from: 'user' });
  } finally {
    write.mock.restore();
  }
  return lines.join('');
}

// The potluck command, started. What it can do is in commands.ts.
import { runCommandLine } from './command-line.ts';

await runCommandLine(process.argv.slice(2));

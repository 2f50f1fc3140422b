// The entry point of the potluck command; commands.ts lists the commands.
import { runCommandLine } from './command-line.ts';

await runCommandLine(process.argv.slice(2));

// Enforces what keeps a file readable in the rooms that many parts of a device meet in: no file above 400 lines, no function above 90.
// Functions are found by a parser; one counts from its first line to its last, with everything inside it.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync, Visitor } from 'rolldown/utils';

const SRC = join(import.meta.dirname, '..', 'src');
const ROOMS = ['hub', 'peer', 'audit', 'owner', 'simulation'];
const MOST_LINES = { file: 400, function: 90 } as const;

const problems: string[] = [];

for (const file of globSync(`{${ROOMS.join()}}/**/*.ts`, { cwd: SRC })) {
  if (file.endsWith('.test.ts')) continue;
  const source = readFileSync(join(SRC, file), 'utf8');
  const lines = source.split('\n').length - 1;
  if (lines > MOST_LINES.file) problems.push(`${file}: at most ${MOST_LINES.file} lines, got ${lines}`);
  const lineAt = (offset: number): number => source.slice(0, offset).split('\n').length;
  /** The name that a function is called by, as far as it is written beside it. */
  const nameBefore = (offset: number): string =>
    /([\w#$]+)\s*[:=]\s*(?:async\s*)?$/.exec(source.slice(0, offset))?.[1] ?? 'a function';
  const look = ({ start, end, id }: { start: number; end: number; id?: { name: string } | null }): void => {
    const length = lineAt(end) - lineAt(start) + 1;
    if (length <= MOST_LINES.function) return;
    const name = id?.name ?? nameBefore(start);
    problems.push(`${file}:${lineAt(start)}: ${name} has ${length} lines, at most ${MOST_LINES.function} a function`);
  };
  const { program, errors } = parseSync(file, source);
  for (const { message } of errors) problems.push(`${file}: ${message}`);
  const visitor = { FunctionDeclaration: look, FunctionExpression: look, ArrowFunctionExpression: look };
  new Visitor(visitor).visit(program);
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}

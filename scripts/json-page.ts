// Writes docs/json.md and docs/json.schema.json from the schemas of what commands print with --json: node scripts/json-page.ts
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { JSON_OBJECTS, schemaOf } from '../src/cli/json-objects.ts';

interface Node {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly pattern?: string;
}

const jsonSchemaOf = (type: string): Node =>
  z.toJSONSchema(schemaOf(type)!, { unrepresentable: 'any', io: 'output' }) as Node;

/** A field's type in a word or two; objects inside by their fields, one level deep. */
function wordOf(node: Node, deep = 1): string {
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.enum) return node.enum.map((value) => JSON.stringify(value)).join(' or ');
  if (node.anyOf) return node.anyOf.map((part) => wordOf(part, deep)).join(' or ');
  if (node.type === 'array') return `list of ${wordOf(node.items ?? {}, deep)}`;
  const fields = Object.entries(node.properties ?? {});
  if (node.type === 'object' && fields.length > 0 && deep > 0) return `object: ${fieldsOf(node, deep - 1)}`;
  return node.type === undefined ? 'any' : String(node.type);
}

function fieldsOf(node: Node, deep = 1): string {
  const shown = Object.entries(node.properties ?? {}).filter(
    ([name]) => !['type', 'version', 'time_ms'].includes(name),
  );
  const optional = (name: string): string => (node.required?.includes(name) ? '' : '?');
  return shown.map(([name, field]) => `\`${name}${optional(name)}\` ${wordOf(field, deep)}`).join(', ') || '–';
}

/** The page and the schema, as they must stand in docs/. */
export function jsonDocs(): { readonly page: string; readonly schema: string } {
  const types = Object.keys(JSON_OBJECTS);
  const rows = types.map((type) => {
    const { description = '' } = JSON_OBJECTS[type as keyof typeof JSON_OBJECTS].meta() ?? {};
    return `| \`${type}\` | ${description} | ${fieldsOf(jsonSchemaOf(type)).replaceAll('|', '\\|')} |`;
  });
  const page = `# What commands print with --json

One JSON object a line on standard output, failures too. Every object has \`type\`, which says what the others are, \`version\` (2; it grows
when a field changes its meaning or goes) and \`time_ms\`, when it was printed, in milliseconds since 1970. Fields are added without a new
version: pass over what you do not know. Names are in snake_case with their unit last. \`?\` marks a field that is not always there.
The exit code is 0 when the command did what it was asked, 1 for what you can mend, 2 for wrong words on the command line, 70 for a
defect of ours; \`play\` ends with 3 where lying pays.

[json.schema.json](json.schema.json) has the same as JSON Schema. Both files are written by \`node scripts/json-page.ts\`, and a test holds
every line of every process of the tests against it.

| \`type\` | who says it, when | fields |
|---|---|---|
${rows.join('\n')}
`;
  const schemas = types.map((type) => JSON.stringify({ ...jsonSchemaOf(type), $schema: undefined }));
  const draft = 'https://json-schema.org/draft/2020-12/schema';
  return { page, schema: `{ "$schema": "${draft}", "oneOf": [\n${schemas.join(',\n')}\n] }\n` };
}

if (import.meta.main) {
  const docs = join(import.meta.dirname, '..', 'docs');
  const { page, schema } = jsonDocs();
  writeFileSync(join(docs, 'json.md'), page);
  writeFileSync(join(docs, 'json.schema.json'), schema);
}

// Text inside an XML document, for the formats of services that are one.
import { CliError } from './output.ts';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Throws CliError bad-folder for what no XML document can hold (XML 1.0, production 2). */
export function xmlText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
  if (/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text) || !text.isWellFormed()) {
    throw new CliError(
      'bad-folder',
      `expected a path without control characters, got ${JSON.stringify(text.slice(0, 200))}`,
    );
  }
  // Some readers take these for spaces or other line breaks, and the last for a sign that the text was decoded wrongly.
  return text
    .replace(/[&<>"']/g, (found) => ENTITIES[found])
    .replace(/[\t\n\r\x85\u2028\u2029\ufffd]/g, (found) => `&#${found.charCodeAt(0)};`);
}

// A result as a page: one file of HTML that needs nothing else, with the colours and type of the hub's page.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as script from './page-script.ts';
import type { FleetResult } from './result.ts';

/** The hub's page; read as a file, because what it looks like is decided there. */
const STYLE = join(import.meta.dirname, '..', '..', 'web', 'style.css');

const OWN_STYLE = `
*{box-sizing:border-box}
body{margin:0 auto;max-width:calc(var(--width) + 2*var(--gap));padding:var(--gap);background:var(--bg);color:var(--ink);overflow-wrap:break-word}
h1{font-size:var(--display);line-height:1.15;margin:.5rem 0}
h2{font-size:var(--large);margin:2.5rem 0 .75rem}
.about{max-width:60ch;font-family:var(--reading);font-size:var(--large);margin:0 0 1.5rem}
.muted,small,.figures span{color:var(--muted)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(10rem,45%),1fr));gap:1.25rem;margin:1.5rem 0}
.figures b{display:block;font-size:var(--title);line-height:1.2}
.figures span,.figures small{display:block;font-size:var(--small)}
.choice{display:flex;gap:.5rem;margin:1.5rem 0 1rem}
button,label{font:inherit;font-size:var(--small);padding:.5rem .9rem;border:1px solid var(--line);border-radius:var(--corner);background:var(--surface);color:var(--ink);cursor:pointer}
button[aria-pressed=true]{border-color:var(--ink);font-weight:600}
button:focus-visible,label:focus-within,.scroll:focus-visible{outline:2px solid var(--dish-4);outline-offset:2px}
.charts{display:grid;grid-template-columns:minmax(0,1fr);gap:2rem}
@media(min-width:48rem){.charts{grid-template-columns:repeat(2,minmax(0,1fr))}}
figure{margin:0}figcaption{font-weight:600}figcaption .muted{font-weight:400}
svg{display:block;max-width:100%;touch-action:pan-y}svg text{font-size:12px;fill:var(--muted)}
.grid{stroke:var(--line)}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1rem;margin:.25rem 0 .5rem;font-size:var(--small);min-height:1.5em}
.legend i{display:inline-block;width:.75em;height:.75em;margin-right:.4em;border-radius:2px}
.bar{margin:.5rem 0}.bar .name{font-size:var(--small)}.parts{display:flex;height:1.25rem;border-radius:var(--corner);overflow:hidden;background:var(--well)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:var(--small);white-space:nowrap;width:100%}
th,td{text-align:right;padding:.4rem .75rem;border-bottom:1px solid var(--line)}th:first-child,td:first-child{text-align:left;padding-left:0}th{color:var(--muted);font-weight:400}
footer{margin-top:3rem;display:flex;flex-wrap:wrap;gap:1rem;align-items:center;font-size:var(--small);color:var(--muted)}
input[type=file]{position:absolute;width:1px;height:1px;opacity:0}
#said{color:var(--bad);margin:0}
`;

/** The variables of the hub's page: its blocks of :root, for light and dark. */
function colours(): string {
  const css = readFileSync(STYLE, 'utf8');
  const light = /^:root \{[^}]*\}/m.exec(css)?.[0] ?? '';
  const dark = /^@media \(prefers-color-scheme: dark\) \{\s*:root \{[^}]*\}\s*\}/m.exec(css)?.[0] ?? '';
  return `${light}\n${dark}`;
}

/** Text that ends no script, whatever it contains. */
const inScript = (json: string): string => json.replaceAll('<', '\\u003c');

/** The page of a result. */
export function pageOf(result: FleetResult): string {
  const functions = Object.values(script).map(String).join('\n');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>A fleet</title>
<style>${colours()}${OWN_STYLE}</style>
<body>
<main></main>
<footer>
<label>Open another result<input type="file" accept=".json,application/json"></label>
<span>Or drop one here: what npm run simulate -- --fleet FILE --json RESULT writes.</span>
<p id="said" role="alert"></p>
</footer>
<script type="application/json" id="result">${inScript(JSON.stringify(result))}</script>
<script>${functions}
begin();</script>
</body>
</html>
`;
}

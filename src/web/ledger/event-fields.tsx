// The fields of an event: numbers with units, times as times, hashes as links.
import { bytesToHex } from '@noble/hashes/utils.js';
import { HASH_FORM } from '../../protocol/hash.ts';
import { short } from '../shell/format.ts';
import { Link } from '../shell/link.tsx';
import { wordsOf } from './field-words.ts';

/** Fields that name blobs, which anybody may download. */
const BLOBS = new Set(['params', 'model', 'work', 'bundle', 'base', 'evidence', 'blob']);

export function Fields({ fields }: { fields: Record<string, unknown> }) {
  return (
    <dl class="fields">
      {Object.entries(fields).map(([field, value]) => (
        <div key={field}>
          <dt>{field}</dt>
          <dd>
            <Value field={field} value={value} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Value({ field, value }: { field: string; value: unknown }) {
  if (typeof value === 'string' && HASH_FORM.test(value)) {
    if (field === 'run') return <Link to={{ view: 'run', run: value }}>{short(value)} …</Link>;
    if (BLOBS.has(field)) return <a href={`/blobs/${value}`}>{value}</a>;
  }
  if (value instanceof Uint8Array) return <>{bytesToHex(value)}</>;
  if (typeof value === 'number') return <>{wordsOf(field, value)}</>;
  if (typeof value === 'object' && value !== null) return <>{JSON.stringify(value, null, 1)}</>;
  return <>{String(value)}</>;
}

// Modules that are Node's own, and what browsers get in their place: the same functions with the same types. Paths under src/.
export const TWINS: Readonly<Record<string, string>> = {
  'peer/audit-threads.ts': 'web/twins/audit-threads.ts',
  'peer/blob-folder.ts': 'web/twins/blob-folder.ts',
  'peer/public-log-open.ts': 'web/twins/public-log-open.ts',
  'protocol/curve25519.ts': 'web/twins/curve25519.ts',
};

// The version of this build, from its package.json.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PACKAGE = join(import.meta.dirname, '..', '..', 'package.json');
export const POTLUCK_VERSION: string = JSON.parse(readFileSync(PACKAGE, 'utf8')).version;

// Imported before anything else: zod then compiles no code at run time, which the Content-Security-Policy forbids.
import { z } from 'zod';

z.config({ jitless: true });

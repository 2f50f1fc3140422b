// Imported before any schema is made: zod would compile its checks, which the page's Content-Security-Policy forbids.
import { z } from 'zod';

z.config({ jitless: true });

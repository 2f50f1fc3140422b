// The hub's routes for letters between devices and their owner: each takes one signed letter and answers in JSON.
import type { Hono } from 'hono';
import { LETTER_LIMITS } from '../protocol/device-letters.ts';
import { addressOfAsker, announcedBytes } from './answers.ts';
import type { Letters } from './letters.ts';
import type { RateLimits } from './rate-limits.ts';

/** Adds POST /devices/reports, /devices/settings and /devices/questions. */
export function serveLetters(app: Hono, letters: Letters, rates: RateLimits, pace: () => Promise<void>): void {
  const take = (path: string, answer: (letter: Uint8Array) => object): void => {
    app.post(path, async (c) => {
      rates.take('letter_address', addressOfAsker(c));
      const announced = announcedBytes(c, LETTER_LIMITS.bytes);
      if (announced instanceof Response) return announced;
      await pace();
      return c.json(answer(new Uint8Array(await c.req.arrayBuffer())));
    });
  };
  take('/devices/reports', letters.report);
  take('/devices/settings', letters.settings);
  take('/devices/questions', letters.answer);
}

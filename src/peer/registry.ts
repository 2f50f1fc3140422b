// The registry that names the devices of a hub: which it is, what a device or an owner says there, and when the hub has heard of it.
import { z } from 'zod';
import { type Clock, sleep } from '../protocol/clock.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { hash } from '../protocol/schemas.ts';
import { readHub } from './find-run.ts';

const AnswerSchema = z.object({
  registry: z
    .object({
      hub: hash,
      url: z
        .string()
        .regex(/^https?:\/\//)
        .max(200),
    })
    .nullable(),
  known: z.boolean().nullable().optional(),
});

/** A hub looks at its registry at once when it is asked; it may lag where the registry itself is several processes. */
const TAKEN_IN = { tries: 20, wait_ms: 500 } as const;

async function askRegistry(url: string, path: string) {
  const { ok, json } = await readHub(url, path);
  const answer = AnswerSchema.safeParse(json);
  return ok && answer.success ? answer.data : null;
}

/** The registry of a hub; null where its own log names devices. Throws PeerError `hub-unreachable`, `not-a-hub`, `refused`. */
export async function registryOf(url: string): Promise<{ readonly hub: string; readonly url: string } | null> {
  return (await askRegistry(url, '/registry'))?.registry ?? null;
}

/** Where something of devices and addresses is to be said: at the hub, or at its registry. */
export async function whereToSay(url: string): Promise<string> {
  return (await registryOf(url))?.url ?? url;
}

/** Resolves when a hub's log knows a device that its registry names. Throws PeerError `refused` where it does not, after some seconds. */
export async function untilTakenIn(url: string, device: string, clock: Clock): Promise<void> {
  for (let i = 0; i < TAKEN_IN.tries; i++) {
    if (i > 0) await sleep(clock, TAKEN_IN.wait_ms);
    if ((await askRegistry(url, `/registry?device=${device}`))?.known) return;
  }
  throw new PeerError('refused', `the hub at ${url} has not heard of this device from its registry yet`, {
    refusal: 'not-taken-in',
  });
}

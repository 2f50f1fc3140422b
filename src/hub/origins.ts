// Which web pages may use a hub. A hub for its own machine answers only pages that it served itself, under a name of this machine.
//
// Browsers let any page send requests to any address, and withhold the answer if the origins differ (Fetch standard, section 3.3). A page whose
// host name later points at this machine (DNS rebinding) has the same origin; then only the Host header reveals it (RFC 9110, 7.2).
import type { Hono } from 'hono';
import { incomingOf } from './answers.ts';
import { isOwnHost } from './askers.ts';
import { HubError } from './errors.ts';

export interface OriginOptions {
  /** The address that the hub listens on. */
  readonly host: string;
  /** The hub's public URL; null where none is set. */
  readonly public_url: string | null;
}

export interface Origins {
  /** Whether pages of other origins may read what is public: not on a hub for its own machine. */
  readonly open: boolean;
  /** Throws HubError `wrong-host`, `wrong-origin` where this request is not for this hub. */
  check(headers: { readonly host?: string; readonly origin?: string }): void;
}

/** A hub is for its own machine when it listens there and has no public URL. */
export function openOrigins({ host: listening, public_url }: OriginOptions): Origins {
  const open = public_url !== null || !isOwnHost(listening);
  return {
    open,
    check({ host, origin }) {
      if (open) return;
      if (host === undefined || !isOwnHost(host.replace(/:\d*$/, ''))) {
        const message = `this hub serves its own machine: expected a host like localhost, got ${shown(host)}; behind a proxy start it with --public URL`;
        throw new HubError('wrong-host', message);
      }
      if (origin !== undefined && hostOf(origin) !== host.toLowerCase()) {
        const message = `this hub serves its own machine: expected a page from ${host}, got one from ${shown(origin)}; --public URL opens it to others`;
        throw new HubError('wrong-origin', message);
      }
    },
  };
}

/** Checks every request to an app. */
export function checkOrigins(app: Hono, origins: Origins): void {
  app.use(async (c, next) => {
    origins.check(incomingOf(c).headers);
    await next();
  });
}

const SHOWN_CHARACTERS = 100;
const shown = (text = 'none'): string => text.slice(0, SHOWN_CHARACTERS);

/** null for text without a host, such as `null`, which pages of an opaque origin send. */
function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

// The bus on NATS core (docs/decisions/0054): at most once, in the order of each sender. Nothing here touches JetStream, which the lease uses.
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { ConnectionOptions, Msg, NatsConnection } from '@nats-io/transport-node';
import { HubError } from '../errors.ts';
import { type Bus, MAX_BUS_BYTES, MAX_QUEUED_BYTES, type Subscription } from './bus.ts';
import { checkPattern, checkSize, checkSubject, unanswered, unheard } from './bus-subjects.ts';
import type { NatsAccess } from './nats-access.ts';
import { natsClient } from './nats-client.ts';

const LIMITS = {
  dial_ms: 3000, // of one server, to answer at all
  again_ms: 250, // between attempts to reach a server again, for ever
  jitter_ms: 250, // so that not all processes come at the same moment
  ping_ms: 1000, // a server that does not answer is given up after two pings: about as long as a lease lasts
  pings: 2,
  flush_bytes: 256 << 10, // how often the server is asked what it has: rarely, and a small part of what may wait
  goodbye_ms: 2000, // for the last messages to leave
} as const;

export interface NatsBusOptions extends NatsAccess {
  /** What the servers show of this process. */
  readonly name: string;
  /** Gets what a listener throws, what an answer rejects with, and what the servers refuse. */
  onError(error: unknown): void;
}

/** A bus, and what of its connection others need. */
export interface NatsBus extends Bus {
  readonly connection: NatsConnection;
}

/** Connects. Throws HubError `no-bus`, `bus-refused`: one line that says what was expected and what came. */
export async function openNatsBus(options: NatsBusOptions): Promise<NatsBus> {
  const { connect, nkeyAuthenticator } = natsClient();
  const { servers, user, password, nkey_seed, ca, certificate, key, name } = options;
  const nkey = nkey_seed === undefined ? undefined : nkeyAuthenticator(new TextEncoder().encode(nkey_seed));
  const secured = ca !== undefined || certificate !== undefined || servers.some((url) => url.startsWith('tls:'));
  const settings: ConnectionOptions & { readonly ignoreAuthErrorAbort: boolean; readonly noAsyncTraces: boolean } = {
    ...{
      servers: servers.map((url) => url.replace(/^tls:/, 'nats:')),
      name,
      user,
      pass: password,
      authenticator: nkey,
    },
    ...(secured && { tls: tlsSettings({ ca, cert: certificate, key }, servers) }),
    ...{ timeout: LIMITS.dial_ms, pingInterval: LIMITS.ping_ms, maxPingOut: LIMITS.pings },
    ...{ maxReconnectAttempts: -1, reconnectTimeWait: LIMITS.again_ms, reconnectJitter: LIMITS.jitter_ms },
    reconnectJitterTLS: LIMITS.jitter_ms,
    ignoreAuthErrorAbort: true, // credentials that are refused for a while are not the end of a hub
    noAsyncTraces: true, // a stack for each request costs more than the request
  };
  let connection: NatsConnection;
  try {
    connection = await connect(settings);
  } catch (error) {
    throw refusal(servers, error);
  }
  const { max_payload, version } = connection.info!;
  if (max_payload < MAX_BUS_BYTES) {
    await connection.close();
    const fact = `expected messages of ${MAX_BUS_BYTES} bytes to be allowed, got max_payload ${max_payload}`;
    throw new HubError('no-bus', `NATS ${version} at ${servers.join(', ')}: ${fact}`, { max_payload });
  }
  return new OverNats(connection, options.onError);
}

/**
 * The client (3.4.0) tells TLS no name for a server that is given by its address, which would then have to be vouched for as "localhost": it must be
 * vouched for by one of the addresses given.
 */
function tlsSettings(files: { ca?: string; cert?: string; key?: string }, servers: readonly string[]) {
  const hosts = servers.map((server) => new URL(server).hostname.replace(/^\[|\]$/g, ''));
  const unnamed = hosts.filter((host) => isIP(host) !== 0 || host === 'localhost');
  return {
    ...files,
    checkServerIdentity(host: string, certificate: PeerCertificate): Error | undefined {
      const names = host === 'localhost' && unnamed.length > 0 ? unnamed : [host];
      const problems = names.map((name) => checkServerIdentity(name, certificate));
      return problems.includes(undefined) ? undefined : problems[0];
    },
  };
}

/** What an attempt to connect failed with, in one line. */
function refusal(servers: readonly string[], error: unknown): HubError {
  const { errors } = natsClient();
  const at = `NATS at ${servers.join(', ')}`;
  const message = (error as Error | undefined)?.message ?? 'no reason given';
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    const place = 'NATS_USER and NATS_PASSWORD, or NATS_NKEY';
    return new HubError('bus-refused', `${at}: expected to be let in with ${place}, got "${message}"`);
  }
  return new HubError('no-bus', `${at}: expected a server that answers, got "${message}"`);
}

class OverNats implements NatsBus {
  readonly connection: NatsConnection;
  connected = true;
  readonly #onError: (error: unknown) => void;
  readonly #listeners: ((connected: boolean) => void)[] = [];
  /** Counts of bytes: published, asked about, and known to have left. */
  #published = 0;
  #asked = 0;
  #left = 0;

  constructor(connection: NatsConnection, onError: (error: unknown) => void) {
    this.connection = connection;
    this.#onError = onError;
    void this.#watch();
  }

  get queued_bytes(): number {
    return this.#published - this.#left;
  }

  publish(subject: string, bytes: Uint8Array): void {
    checkSubject(subject);
    checkSize(subject, bytes);
    // The client would keep it for a server that comes back, without a bound.
    if (!this.connected || this.queued_bytes + bytes.length > MAX_QUEUED_BYTES) return;
    this.connection.publish(subject, bytes);
    this.#count(bytes.length);
  }

  subscribe(pattern: string, onMessage: (bytes: Uint8Array, subject: string) => void): Subscription {
    checkPattern(pattern);
    return this.#listen(pattern, undefined, (message) => onMessage(message.data, message.subject));
  }

  serve(subject: string, group: string, answer: (bytes: Uint8Array) => Promise<Uint8Array>): Subscription {
    checkSubject(subject);
    const reply = async (message: Msg): Promise<void> => {
      try {
        const bytes = await answer(message.data);
        checkSize(subject, bytes);
        if (!this.connected || message.reply === undefined) return;
        message.respond(bytes);
        this.#count(bytes.length);
      } catch (error) {
        this.#onError(error);
      }
    };
    return this.#listen(subject, group, (message) => void reply(message));
  }

  async request(subject: string, bytes: Uint8Array, timeout_ms: number): Promise<Uint8Array> {
    checkSubject(subject);
    checkSize(subject, bytes);
    if (!this.connected) throw unheard(subject, 'but the bus cannot be reached');
    try {
      const asked = this.connection.request(subject, bytes, { timeout: timeout_ms });
      this.#count(bytes.length);
      return (await asked).data;
    } catch (error) {
      const { errors } = natsClient();
      const nobody = error instanceof errors.RequestError && error.isNoResponders();
      throw nobody ? unheard(subject, 'but nobody serves it') : unanswered(subject, timeout_ms);
    }
  }

  async flushed(): Promise<void> {
    if (!this.connected) throw unheard('the bus', 'but it cannot be reached');
    await this.#flush().catch(() => {
      throw unheard('the bus', 'but it cannot be reached any more');
    });
  }

  onConnected(listener: (connected: boolean) => void): void {
    this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    if (this.connection.isClosed()) return;
    if (this.connected) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise((resolve) => {
        timer = setTimeout(resolve, LIMITS.goodbye_ms);
      });
      await Promise.race([this.#flush().catch(() => {}), late]);
      clearTimeout(timer);
    }
    this.#tell(false);
    await this.connection.close();
  }

  #listen(subject: string, queue: string | undefined, take: (message: Msg) => void): Subscription {
    if (this.connection.isClosed()) return { close() {} };
    const subscription = this.connection.subscribe(subject, {
      queue,
      callback: (error, message) => {
        // What is thrown here would end the client's reading.
        try {
          if (error) throw error;
          take(message);
        } catch (thrown) {
          this.#onError(thrown);
        }
      },
    });
    return { close: () => subscription.unsubscribe() };
  }

  #count(size_bytes: number): void {
    this.#published += size_bytes;
    if (this.#published - this.#asked >= LIMITS.flush_bytes) this.#flush().catch(() => {});
  }

  /** Resolves when the server has read all so far. */
  async #flush(): Promise<void> {
    const upTo = this.#published;
    this.#asked = upTo;
    await this.connection.flush();
    this.#left = Math.max(this.#left, upTo);
  }

  async #watch(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === 'staleConnection') giveUp(this.connection);
      else if (status.type === 'disconnect') this.#tell(false);
      else if (status.type === 'reconnect') this.#tell(true);
      else if (status.type === 'error') this.#onError(status.error);
    }
    this.#tell(false);
  }

  #tell(connected: boolean): void {
    this.#left = this.#published; // what had not left is lost
    this.#asked = this.#published;
    if (connected === this.connected) return;
    this.connected = connected;
    for (const listener of this.#listeners) listener(connected);
  }
}

/**
 * Ends the socket to a server that answers no more. The client (3.4.0) would first wait until its last bytes have left, which they never do where
 * the server stands still and the socket is full.
 */
function giveUp(connection: NatsConnection): void {
  const { transport } = (connection as NatsConnection & Inner).protocol;
  void transport.close(new Error('the server does not answer'));
}

interface Inner {
  readonly protocol: { readonly transport: { close(error: Error): Promise<void> } };
}

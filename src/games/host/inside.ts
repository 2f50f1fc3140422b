// The game's side of a host: in a thread of Node or in a tab's sandbox, it calls the game's parts and asks the host for what the device lends.
import { firstIssue } from '../../errors.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import { GameError } from '../errors.ts';
import type { Device, Judging } from '../game.ts';
import type { FileGame } from '../game-form.ts';
import { wordsOfGame } from '../parts.ts';
import { openAsks } from './asks.ts';
import { type Asked, type Called, type FromGame, PARTS, type ToGame } from './wire.ts';

/** What a device is, as data: the host has the rest. */
export interface DeviceOverThere {
  readonly device: number;
  readonly runtime: Runtime['class'];
  readonly rests: boolean;
  readonly runs: boolean;
}

/** Serves a game: to be called once, with where messages go. @returns where they come in */
export function serveGame(game: FileGame, post: (message: FromGame) => void): (message: ToGame) => void {
  const held = new Map<number, unknown>();
  const devices = new Map<number, Device>();
  const stops = new Map<number, AbortController>();
  const asks = openAsks();

  const ask = <T>(of: number, what: Asked, ...values: readonly unknown[]): Promise<T> =>
    asks.ask((number) => post({ type: 'ask', of, ask: number, what, values: [...values] }));

  const runtimeFor = (of: number, kind: Runtime['class']): Runtime => ({
    class: kind,
    async load(graph) {
      const program = await ask<number>(of, 'load', graph);
      return {
        writeState: (values) => ask(of, 'writeState', program, values),
        readState: (names) => ask(of, 'readState', program, [...names]),
        run: (inputs) => ask(of, 'runGraph', program, inputs),
        close: () => ask(of, 'close', program),
      };
    },
    close: async () => {}, // it is the device's
  });

  /** The same object for the same device: games may hang on it what they have loaded. */
  const deviceFor = (over: DeviceOverThere): Device => {
    const { device: of } = over;
    const known = devices.get(of);
    if (known) return known;
    const device: Device = {
      runtime: runtimeFor(of, over.runtime),
      fetchBlob: (hash) => ask(of, 'fetchBlob', hash),
      drawer: {
        get: (name) => ask(of, 'get', name),
        put: (name, bytes) => ask(of, 'put', name, bytes),
        delete: (name) => ask(of, 'delete', name),
      },
      progress: ({ amount, numbers }) => ask(of, 'progress', { amount, numbers }),
      ...(over.runs && { run: (program, input, limits) => ask(of, 'run', program, input, limits) }),
      ...(over.rests && { rested: () => ask<void>(of, 'rested') }),
    };
    devices.set(of, device);
    return device;
  };

  const taken = (call: number, part: keyof typeof PARTS, values: readonly unknown[]): unknown[] =>
    values.map((value, i) => {
      switch (PARTS[part].takes[i]) {
        case 'held':
          return held.get(value as number);
        case 'device':
          return deviceFor(value as DeviceOverThere);
        case 'signal':
          return stops.get(call)!.signal;
        case 'judging':
          return { ...(value as Judging), earlier: () => ask<Uint8Array[]>(call, 'earlier') };
        default:
          return value;
      }
    });

  const run = async (call: number, part: Called, values: readonly unknown[]): Promise<unknown> => {
    if (part === 'params') {
      const parsed = await game.params.safeParseAsync(values[0]);
      if (parsed.success) return parsed.data;
      throw new GameError('bad-params', firstIssue(parsed.error));
    }
    const answer: unknown = await (game[part] as (...given: unknown[]) => unknown)(...taken(call, part, values));
    if (PARTS[part].gives === 'nothing') return undefined;
    if (PARTS[part].gives === 'value') return answer;
    held.set(call, answer);
    return call;
  };

  const begin = (call: number, part: Called, values: readonly unknown[]): void => {
    stops.set(call, new AbortController());
    const failed = (error: unknown): void => post({ type: 'failed', call, failure: asks.failureOf(error) });
    void run(call, part, values)
      .then((value) => post({ type: 'answer', call, value })) // a value that cannot be copied fails here
      .catch(failed)
      .finally(() => stops.delete(call));
  };

  post({
    type: 'ready',
    name: game.name,
    needs: [...(game.needs ?? [])],
    ...wordsOfGame(game),
    parts: Object.keys(PARTS).filter((part) => part in game && game[part as never]),
  });
  return (message) => {
    switch (message.type) {
      case 'call':
        return begin(message.call, message.part, message.values);
      case 'stop':
        return stops.get(message.call)?.abort();
      case 'drop':
        return void held.delete(message.held);
      case 'given':
        return asks.given(message.ask, message.value);
      case 'not-given':
        return asks.notGiven(message.ask, message.failure);
      case 'ping':
        return post({ type: 'pong' });
    }
  };
}

// Several servers of answers as one: each model is asked of the server that has it.
import type { ClosingServer } from './answer-server.ts';
import { unknownModel } from './errors.ts';

/** The first server that has a model of a name is asked for it. */
export function joinServers(servers: readonly ClosingServer[]): ClosingServer {
  const named = (name: string): ClosingServer => {
    const found = servers.find((server) => server.models().some((model) => model.name === name));
    if (found) return found;
    throw unknownModel(name);
  };
  return {
    models: () => servers.flatMap((server) => server.models()),
    async *answer(request, signal) {
      yield* named(request.model).answer(request, signal);
    },
    embed: async (request, signal) => named(request.model).embed(request, signal),
    close: async () => {
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}

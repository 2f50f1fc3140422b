// A committee: several models, or one several times, answer a request, and a verifier chooses. An AnswerServer over another one.
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import type { AnswerEvent, AnswerRequest, AnswerServer, OfferedModel } from './answers.ts';
import { type Draft, draftOf, type Verifier } from './committee-verifiers.ts';
import { ServingError } from './errors.ts';
import { SERVING_LIMITS } from './limits.ts';

/** What the names of committees begin with: `committee:a+b+c`, and `committee:a*3` for one model with three seeds. */
const PREFIX = 'committee:';

export interface CommitteeOptions {
  readonly verifier: Verifier;
  /** Committees that are listed among the models; none by default. Others can be asked all the same. */
  readonly listed?: readonly string[];
  /** A member failed while others went on. */
  readonly onFailed?: (model: string, error: unknown) => void;
}

type Begun = Extract<AnswerEvent, { kind: 'begun' }>;

/** Answers names that begin with `committee:` and leaves all others to `server`. */
export function committee(server: AnswerServer, options: CommitteeOptions): AnswerServer {
  const { listed = [] } = options;
  const unlisted = (name: string): OfferedModel | null =>
    name.startsWith(PREFIX) ? offerOf(name, membersOf(server, name)) : (server.unlisted?.(name) ?? null);
  return {
    models: () => [...server.models(), ...listed.map((name) => offerOf(name, membersOf(server, name)))],
    unlisted,
    answer: (request, signal) =>
      request.model.startsWith(PREFIX)
        ? together(server, options, membersOf(server, request.model), request, signal)
        : server.answer(request, signal),
    embed(request, signal) {
      if (!request.model.startsWith(PREFIX)) return server.embed(request, signal);
      return Promise.reject(new ServingError('unsupported', 'a committee makes no embeddings', { param: 'model' }));
    },
  };
}

/** The members that a name names, each as often as it answers. Throws ServingError `unknown-model` or `too-large`. */
function membersOf(server: AnswerServer, name: string): OfferedModel[] {
  const models = new Map(server.models().map((model) => [model.name, model]));
  const members: OfferedModel[] = [];
  for (const part of name.slice(PREFIX.length).split('+')) {
    const [, asked, times = '1'] = /^(.+?)(?:\*([1-9]\d{0,2}))?$/s.exec(part) ?? [];
    // A model's own name may end like a number of times.
    const model = models.get(part) ?? models.get(asked ?? '');
    if (!model) {
      const fact = `${JSON.stringify(part.slice(0, 100))} in the committee ${JSON.stringify(name.slice(0, 100))}`;
      throw new ServingError('unknown-model', `no model ${fact}: expected NAME+NAME or NAME*3 of models served here`);
    }
    const count = model.name === part ? 1 : Number(times);
    if (members.length + count > SERVING_LIMITS.committee_members) {
      const fact = `at most ${SERVING_LIMITS.committee_members} members were expected`;
      throw new ServingError('too-large', `a committee that is too large: ${fact}`, { param: 'model' });
    }
    for (let i = 0; i < count; i++) members.push(model);
  }
  return members;
}

const allSame = (members: readonly OfferedModel[], of: (model: OfferedModel) => string): boolean =>
  members.every((model) => of(model) === of(members[0]));

function offerOf(name: string, members: readonly OfferedModel[]): OfferedModel {
  const licences = [...new Set(members.map(({ licence }) => licence))];
  return {
    name,
    hash: sha256Hex(utf8(members.map(({ hash }) => hash).join('+'))),
    quantisation: allSame(members, (model) => model.quantisation) ? members[0].quantisation : 'several',
    engine: allSame(members, (model) => model.engine) ? members[0].engine : 'several',
    context_tokens: Math.min(...members.map((model) => model.context_tokens)),
    created_ms: Math.max(...members.map((model) => model.created_ms)),
    // Any member's answer may be the one that is given: all terms hold.
    licence: licences.includes(null) ? null : licences.join(' and '),
    chat: members.every((model) => model.chat),
    tools: false,
    embeddings: false,
  };
}

/** Throws ServingError `unsupported` for what a committee does not do. */
function refuse(members: readonly OfferedModel[], request: AnswerRequest): void {
  const no = (what: string, param: string): never => {
    throw new ServingError('unsupported', `a committee ${what}`, { param });
  };
  const { prompt, written, echo, sampling } = request;
  if (written.length > 0) no('begins each answer itself: it goes on with no written tokens', 'written');
  if (echo) no('repeats no prompt: each member reads tokens of its own', 'echo');
  if (prompt.kind === 'chat' && prompt.tools.length > 0 && prompt.tool_choice !== 'none') no('calls no tools', 'tools');
  if (allSame(members, ({ hash }) => hash)) return;
  if (prompt.kind === 'ids')
    no('of several models reads texts, no tokens, which mean something else to each', 'prompt');
  if (sampling.logit_bias.length > 0) no('of several models has no tokens in common to be biased', 'logit_bias');
}

async function* together(
  server: AnswerServer,
  { verifier, onFailed }: CommitteeOptions,
  members: readonly OfferedModel[],
  request: AnswerRequest,
  signal: AbortSignal,
): AsyncGenerator<AnswerEvent, void> {
  refuse(members, request);
  signal.throwIfAborted();
  const spent = { prompt_tokens: 0, written_tokens: 0 };
  const requests = members.map(({ name }, member) => ({
    ...request,
    model: name,
    // How sure a member is of its own answer.
    top_logprobs: request.top_logprobs ?? 0,
    sampling: { ...request.sampling, seed: seedOf(request.sampling.seed, member) },
  }));
  const drafts: Draft[] = [];
  let begun: Begun | null = null;
  for await (const { member, found } of membersEvents(server, requests, signal, onFailed)) {
    if (Array.isArray(found)) {
      drafts.push(draftOf(member, members[member].name, found));
      continue;
    }
    if (found.kind === 'begun') spent.prompt_tokens += found.prompt_tokens;
    if (found.kind === 'token') spent.written_tokens++;
    if (found.kind === 'begun' && begun === null) {
      begun = found;
      yield begun;
    } else yield { kind: 'spent', ...spent };
  }
  drafts.sort((a, b) => a.member - b.member);
  const { chosen, prompt_tokens } = await verifier({ request, drafts }, signal);
  spent.prompt_tokens += prompt_tokens;
  yield { kind: 'spent', ...spent };
  for (const event of drafts[chosen].events) {
    if (event.kind === 'begun') continue;
    signal.throwIfAborted();
    yield event.kind === 'token' && request.top_logprobs === null ? { ...event, logprob: null, top: [] } : event;
  }
}

/** The first member has the caller's own seed: alone its model gives the same answer. The others' are no seeds that a caller writes. */
const seedOf = (seed: string, member: number): string =>
  member === 0 ? seed : sha256Hex(utf8(`committee ${member} ${seed}`));

interface MemberStep {
  readonly member: number;
  /** The next event of a member's answer, or all of them when it is whole. */
  readonly found: AnswerEvent | AnswerEvent[];
}

/**
 * What the members write, as it comes. A member for which there is no place waits for one that has ended; one that fails is told and left out.
 * Throws what the first of them failed with where all have, and the signal's reason. No member writes on when this generator has ended.
 */
async function* membersEvents(
  server: AnswerServer,
  requests: readonly AnswerRequest[],
  signal: AbortSignal,
  onFailed: CommitteeOptions['onFailed'],
): AsyncGenerator<MemberStep> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const waiting = [...requests.keys()];
  const streams = new Map<number, { readonly iterator: AsyncIterator<AnswerEvent>; readonly events: AnswerEvent[] }>();
  const failures: unknown[] = [];
  let whole = 0;

  /** The next event of a member, or what it failed with. */
  const nextOf = async (member: number) => {
    try {
      const iterator = streams.get(member)?.iterator ?? server.answer(requests[member], either)[Symbol.asyncIterator]();
      if (!streams.has(member)) streams.set(member, { iterator, events: [] });
      return { member, next: await iterator.next() };
    } catch (error) {
      return { member, error };
    }
  };
  const pending = new Map<number, ReturnType<typeof nextOf>>();
  const begin = (): void => {
    const member = waiting.shift();
    if (member !== undefined) pending.set(member, nextOf(member));
  };
  const failed = (member: number, error: unknown): void => {
    const begun = (streams.get(member)?.events.length ?? 0) > 0;
    streams.delete(member);
    const waits = !begun && error instanceof ServingError && error.code === 'no-room' && pending.size > 0;
    if (waits) waiting.push(member);
    else {
      failures.push(error);
      onFailed?.(requests[member].model, error);
      begin();
    }
  };

  try {
    while (waiting.length > 0) begin();
    while (pending.size > 0) {
      const step = await Promise.race(pending.values());
      const { member } = step;
      pending.delete(member);
      signal.throwIfAborted();
      if ('error' in step) {
        failed(member, step.error);
        continue;
      }
      const { events } = streams.get(member)!;
      if (!step.next.done) {
        events.push(step.next.value);
        pending.set(member, nextOf(member));
        yield { member, found: step.next.value };
      } else if (events.at(-1)?.kind === 'ended') {
        whole++;
        begin();
        yield { member, found: events };
      } else failed(member, new ServingError('interrupted', `${requests[member].model} ended without an end`));
    }
    if (whole === 0) throw allFailed(failures);
  } finally {
    over.abort(new Error('nobody reads this answer any more'));
    await Promise.allSettled([
      ...pending.values(),
      ...[...streams.values()].map(({ iterator }) => iterator.return?.()),
    ]);
  }
}

function allFailed(failures: readonly unknown[]): unknown {
  const [first] = failures;
  if (!(first instanceof ServingError)) return first;
  return new ServingError(first.code, `none of the committee's ${failures.length} answers: ${first.message}`);
}

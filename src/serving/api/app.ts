// The OpenAI API over whoever answers: one device alone, or a pool. It knows no file, no command and no model, only an AnswerServer.
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Clock } from '../../protocol/clock.ts';
import type { AnswerRequest, AnswerServer, OfferedModel } from '../answers.ts';
import { API_LIMITS } from '../limits.ts';
import {
  type AccessOptions,
  type ApiContext,
  type ApiVariables,
  choosing,
  counting,
  opening,
  sayQuota,
  userOf,
} from './access.ts';
import { type Accounting, type Answered, type Asked, openAccount, openAnswers } from './answering.ts';
import { chatChunks, chatCompletion, fingerprintOf, type Heading } from './chat.ts';
import { ChatRequestSchema, chatAnswers } from './chat-request.ts';
import type { ChoiceEvent } from './choices.ts';
import { CompletionRequestSchema, completionAnswers } from './completion-request.ts';
import { completion, completionChunks } from './completions.ts';
import { EmbeddingRequestSchema, embeddings, inputTokens } from './embeddings.ts';
import { ApiError, apiError, bodyOf, headersOf } from './errors.ts';
import { eventOf, eventStream } from './event-stream.ts';
import { modelNamed, modelObject } from './models.ts';
import { openapiDocument } from './openapi.ts';
import { openQuotas } from './quota.ts';
import { requestBody } from './request-body.ts';
import { type EventCounter, emptyResponse, failedResponse, responseEvents, wholeResponse } from './responses.ts';
import { ResponseRequestSchema, responseAnswer } from './responses-request.ts';
import { usageList } from './usage-list.ts';

export interface ApiOptions extends AccessOptions {
  readonly clock: Clock;
  /** Of silence, after which a stream says that it goes on; API_LIMITS.keep_alive_ms where this is missing. */
  readonly keep_alive_ms?: number;
  /** Called when a request has ended, however it did. */
  readonly onAnswered?: (answered: Answered) => void;
  /** Gets errors of the server itself, for whoever runs it. */
  readonly onError: (error: unknown, where: string) => void;
}

/** How one kind of answer is written. */
interface Form {
  whole(events: AsyncGenerator<ChoiceEvent>): Promise<object>;
  stream(events: AsyncGenerator<ChoiceEvent>): AsyncGenerator<string>;
  /** The events at the end of a stream in which something went wrong. */
  failed(error: ApiError): string;
}

/** The app serves what begins with /v1; a larger app may mount it at its top. */
export function openaiApi(server: AnswerServer, options: ApiOptions): Hono<{ Variables: ApiVariables }> {
  const { clock, newId, onError, keep_alive_ms = API_LIMITS.keep_alive_ms } = options;
  const quotas = openQuotas(clock);
  const accounting: Accounting = { quotas, clock, usage: options.usage, onAnswered: options.onAnswered };
  const app = new Hono<{ Variables: ApiVariables }>();

  /** What failed as the API says it; what is this server's own fault is told to whoever runs it. */
  const told = (error: unknown, where: string): ApiError => {
    const known = apiError(error);
    if (known.known.status >= 500) onError(error, where);
    return known;
  };

  app.onError((error, c) => {
    // Nobody reads the answer to a client that has gone.
    if (c.req.raw.signal.aborted) return new Response(null, { status: 408 });
    const known = told(error, `${c.req.method} ${c.req.path}`);
    for (const [name, value] of Object.entries(headersOf(known))) c.header(name, value);
    return c.json(bodyOf(known), known.known.status);
  });

  app.use('/v1/*', opening(options));
  app.get('/v1/openapi.json', (c) => c.json(openapiDocument(options.keys !== null)));
  app.get('/v1/usage', async (c) => {
    const caller = await userOf(c, options);
    if (!options.usage) throw new ApiError('no-such-path', 'this server keeps no usage');
    const query = { days: c.req.query('days'), now_ms: clock.now_ms() };
    return c.json(await usageList(options.usage, options.keys, caller, query), 200, { 'cache-control': 'no-store' });
  });
  app.use('/v1/*', counting(options, quotas));
  app.use('/v1/*', choosing(options, server));
  app.use('/v1/*', bodyLimit({ maxSize: API_LIMITS.body_bytes, onError: tooLarge }));

  /** Has the answers written in a form, whole or as a stream. */
  const write = async (
    c: ApiContext,
    answers: readonly AnswerRequest[],
    streamed: boolean,
    form: Form,
  ): Promise<Response> => {
    const { account } = c.get('caller');
    const server = c.get('server');
    const billed = account === null ? undefined : server.billed?.(account, answers);
    const open = openAnswers(accounting, billed?.server ?? server, askedBy(c, answers[0].model), answers);
    for (const [name, value] of Object.entries(billed?.headers ?? {})) c.header(name, value);
    sayQuota(c, quotas);
    const gone = c.req.raw.signal;
    if (!streamed) return c.json(await form.whole(open(gone)));
    const body = await eventStream((signal) => form.stream(open(signal)), {
      ...{ clock, keep_alive_ms, gone },
      onFailure: (error) => {
        // The status of the answer said that all was well.
        options.usage?.add(c.get('caller').id, c.get('model'), { errors: 1 });
        return form.failed(told(error, `a stream of ${c.req.path}`));
      },
    });
    c.header('content-type', 'text/event-stream; charset=utf-8');
    c.header('cache-control', 'no-store');
    c.header('x-accel-buffering', 'no'); // nginx would hold events back
    return c.body(body);
  };

  const headingFor = (kind: string, model: OfferedModel): Heading => ({
    ...{ id: `${kind}-${newId()}`, created: seconds(clock), model: model.name },
    system_fingerprint: fingerprintOf(model),
  });

  app.post('/v1/chat/completions', async (c) => {
    const request = await requestBody(c, ChatRequestSchema);
    const model = modelFor(c, request.model);
    const answers = chatAnswers(request, model, newId());
    const heading = headingFor('chatcmpl', model);
    return write(c, answers, request.stream ?? false, {
      whole: (events) => chatCompletion(heading, answers, events),
      stream: (events) => chatChunks(heading, answers, events, request.stream_options?.include_usage ?? false),
      failed: (error) => eventOf(bodyOf(error)),
    });
  });

  app.post('/v1/completions', async (c) => {
    const request = await requestBody(c, CompletionRequestSchema);
    const model = modelFor(c, request.model);
    const answers = completionAnswers(request, model, newId());
    const heading = headingFor('cmpl', model);
    return write(c, answers, request.stream ?? false, {
      whole: (events) => completion(heading, answers, events),
      stream: (events) => completionChunks(heading, answers, events, request.stream_options?.include_usage ?? false),
      failed: (error) => eventOf(bodyOf(error)),
    });
  });

  app.post('/v1/responses', async (c) => {
    const request = await requestBody(c, ResponseRequestSchema);
    const model = modelFor(c, request.model);
    const answer = responseAnswer(request, model, newId());
    const empty = emptyResponse(`resp_${newId()}`, seconds(clock), request, answer);
    const counter: EventCounter = { next: 0 };
    return write(c, [answer], request.stream ?? false, {
      whole: (events) => wholeResponse(empty, answer, events),
      stream: (events) => responseEvents(empty, answer, events, counter),
      failed: ({ known, message }) => failedResponse(empty, counter, known.code, message),
    });
  });

  app.post('/v1/embeddings', async (c) => {
    const request = await requestBody(c, EmbeddingRequestSchema);
    const model = modelFor(c, request.model);
    const account = openAccount(accounting, askedBy(c, model.name), inputTokens(request), 0);
    const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    let end: Answered['end'] = 'failed';
    try {
      const found = await embeddings(c.get('server'), model, request, c.req.raw.signal);
      Object.assign(usage, found.usage);
      end = 'whole';
      return c.json(found);
    } finally {
      account.close(usage, end);
    }
  });

  app.get('/v1/models', (c) =>
    c.json({
      object: 'list',
      data: c
        .get('server')
        .models()
        .map((model) => modelObject(model, c.get('owners'))),
    }),
  );
  // The names of models have slashes in many places.
  app.get('/v1/models/:model{.+}', (c) =>
    c.json(modelObject(modelNamed(c.get('server'), c.req.param('model')), c.get('owners'))),
  );

  const only = (method: 'GET' | 'POST', paths: readonly string[]): void => {
    for (const path of paths) {
      app.all(path, (c) => {
        c.header('allow', method); // RFC 9110, 15.5.6
        throw new ApiError('wrong-method', `${path}: expected ${method}, got ${c.req.method}`);
      });
    }
  };
  only('POST', ['/v1/chat/completions', '/v1/completions', '/v1/responses', '/v1/embeddings']);
  only('GET', ['/v1/models', '/v1/usage']);
  app.all('/v1/*', (c) => {
    throw new ApiError('no-such-path', `no such path: ${c.req.path}`);
  });
  return app;
}

/** The model that a request means. Throws ApiError `unknown-model`. */
function modelFor(c: ApiContext, name: string): OfferedModel {
  const server = c.get('server');
  const model = modelNamed(server, name);
  // Callers may make up as many names of committees as they like.
  const isListed = server.models().some((listed) => listed.name === model.name);
  c.set('model', isListed ? model.name : model.name.replace(/:.*/, ''));
  return model;
}

const askedBy = (c: ApiContext, model: string): Asked => ({
  ...{ caller: c.get('caller'), request: c.get('request_id'), model, counted_as: c.get('model') },
});

const tooLarge = (): never => {
  throw new ApiError('too-large', `expected a body of at most ${API_LIMITS.body_bytes} bytes`);
};

const seconds = (clock: Clock): number => Math.floor(clock.now_ms() / 1000);

// The API as the Python client of OpenAI reads it, where POTLUCK_PYTHON, or python3, has the package openai.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { listeningApi, smallServer } from '../testing/small-server.ts';

const PYTHON = process.env.POTLUCK_PYTHON ?? 'python3';
const there = spawnSync(PYTHON, ['-c', 'import openai; print(openai.__version__)'], { encoding: 'utf8' }).status === 0;

/** Prints one JSON object with what each question gave. */
const SCRIPT = `
import json, sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
asked = dict(model="small", messages=[{"role": "user", "content": "Hello"}], max_tokens=12, seed=4)
found = {"models": [model.id for model in client.models.list()]}
whole = client.chat.completions.create(**asked, logprobs=True, top_logprobs=2)
found["text"] = whole.choices[0].message.content
found["usage"] = whole.usage.completion_tokens
found["top"] = [len(token.top_logprobs) for token in whole.choices[0].logprobs.content]
pieces = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
found["streamed"] = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
found["counted"] = pieces[-1].usage.completion_tokens
scored = client.completions.create(model="small", prompt="The cat", echo=True, logprobs=1, max_tokens=0)
found["scored"] = scored.choices[0].logprobs.tokens
events = list(client.responses.create(model="small", input="Hello", max_output_tokens=3, temperature=0, store=False, stream=True))
found["events"] = [event.type for event in events]
for name, more in (("refused", {"extra_body": {"top_k": 5}}), ("unknown", {"model": "none"})):
    try:
        client.chat.completions.create(**{**asked, **more})
    except openai.APIStatusError as error:
        found[name] = [type(error).__name__, error.code, error.param, error.request_id[:4]]
try:
    with client.chat.completions.create(**{**asked, "model": "breaks"}, stream=True) as stream:
        list(stream)
except openai.APIError as error:
    found["broken"] = [error.code, error.message]
print(json.dumps(found))
`;

test('the Python client reads answers, streams, logprobs, events and errors', {
  skip: there ? false : `${PYTHON} has no package openai`,
}, async (t) => {
  const server = await smallServer();
  const [small] = server.models();
  const api = await listeningApi({
    ...server,
    models: () => [small, { ...small, name: 'breaks' }],
    async *answer(request, signal) {
      for await (const event of server.answer({ ...request, model: 'small' }, signal)) {
        yield event;
        if (request.model === 'breaks' && event.kind === 'token') throw new TypeError('a mistake');
      }
    },
  });
  t.after(async () => {
    await api.close();
    await server.close();
  });
  const python = spawn(PYTHON, ['-c', SCRIPT, api.base_url], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [said, wrong] = ['', ''];
  python.stdout.on('data', (bytes) => {
    said += bytes;
  });
  python.stderr.on('data', (bytes) => {
    wrong += bytes;
  });
  assert.equal(await new Promise((resolve) => python.once('close', resolve)), 0, wrong);
  const { text, streamed, top, events, ...found } = JSON.parse(said);
  assert.equal(streamed, text);
  assert.deepEqual(top, Array(12).fill(2));
  assert.deepEqual([events[0], events.at(-1)], ['response.created', 'response.incomplete']);
  assert.deepEqual(found, {
    models: ['small', 'breaks'],
    usage: 12,
    counted: 12,
    scored: [...'The cat'],
    refused: ['BadRequestError', 'unsupported_parameter', 'top_k', 'req_'],
    unknown: ['NotFoundError', 'model_not_found', 'model', 'req_'],
    broken: ['internal_error', 'this server failed at the request'],
  });
});

// What `potluck chat` says of a server that vanishes in the middle of an answer.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { chatAnswer } from './chat-client.ts';
import type { CliError } from './output.ts';

test('a connection that is lost in mid-answer is a sentence, and what had come is kept', async (t) => {
  const http = createServer((_, response) => {
    response.write('data: {"choices":[{"delta":{"content":"Once"}}]}\n\n');
    setImmediate(() => response.socket!.destroy());
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  t.after(() => http.close());
  const base_url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const signal = new AbortController().signal;
  const pieces = chatAnswer({ base_url, key: null }, { model: 'm' }, [{ role: 'user', content: 'x' }], signal);
  assert.deepEqual(await pieces.next(), { done: false, value: 'Once' });
  await assert.rejects(pieces.next(), (error: CliError) => {
    assert.equal(error.code, 'no-server');
    assert.equal(error.message, `the connection to ${base_url} was lost in the middle of the answer`);
    return true;
  });
});

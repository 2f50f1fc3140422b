// What a teacher says reaches the dataset: through the real API of a real model, within the budget, and in the order in which it was asked.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { byteTokenizer } from '../../model/tokenizer.ts';
import { systemClock } from '../../protocol/clock.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { openAnswerServer } from '../../serving/answer-server.ts';
import { listeningApi } from '../../serving/testing/small-server.ts';
import { openTinyEngine, TINY_CONTEXT, tinyWeights } from '../../serving/testing/tiny-model.ts';
import { decodeShard } from '../../training/shards.ts';
import { decodeSoftRows } from '../../training/soft-shards.ts';
import { type CollectOptions, collect } from './collect.ts';
import { type Answer, openTeacher, type Question, type Teacher, TeacherError, type TeacherOptions } from './teacher.ts';
import { tokenNames } from './token-names.ts';

const tokenizer = byteTokenizer();
/** Four texts at once, and one that the test reads itself. */
const engine = await openTinyEngine(tinyWeights('teacher'), { cache_tokens: 5 * TINY_CONTEXT });
const served = openAnswerServer([{ engine, name: 'tiny', licence: null, created_ms: 0 }]);
const api = await listeningApi(served);
after(async () => {
  await api.close();
  await served.close();
  assert.deepEqual(api.errors, []);
});

const running = new AbortController().signal;
const opened = (more: Partial<TeacherOptions> = {}) =>
  openTeacher({ base_url: api.base_url, model: null, key: null, clock: systemClock, ...more }, running);

/** The log-probabilities of every token after each of these, by the engine itself. */
async function scored(ids: readonly number[]): Promise<number[][]> {
  const sequence = await engine.openSequence();
  const logits = await sequence.score(ids);
  await sequence.close();
  const width = logits.length / ids.length;
  return ids.map((_, i) => {
    const row = [...logits.subarray(i * width, (i + 1) * width)];
    const most = Math.max(...row);
    const all = most + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
    return row.map((logit) => logit - all);
  });
}

function inMemory() {
  const blobs = new Map<string, Uint8Array>();
  const put = async (bytes: Uint8Array): Promise<string> => {
    blobs.set(sha256Hex(bytes), bytes);
    return sha256Hex(bytes);
  };
  return { blobs, put };
}

describe('through the API of a real model', () => {
  for (const echo of [true, false]) {
    test(`${echo ? 'what it thinks of a text' : 'what it writes'}: the model's own twenty likeliest tokens at each place`, async () => {
      const teacher = await opened();
      assert.equal(teacher.model, 'tiny');
      const prompt = 'It was a naïve night, ';
      const answer = await teacher.ask({ prompt, max_tokens: echo ? 1 : 30, echo, seed: 3 }, running);
      const { ids, rows } = tokenNames(tokenizer, 'tiny').read(answer.tokens);
      const before = [256, ...(echo ? [] : tokenizer.encode(prompt))];
      if (echo) assert.deepEqual(ids.slice(0, -1), [...tokenizer.encode(prompt)]);
      assert.equal(answer.spent_tokens, tokenizer.encode(prompt).length + 1 + ids.length - (echo ? ids.length - 1 : 0));
      const expected = await scored([...before, ...ids.slice(0, -1)]);
      let compared = 0;
      for (const [i, row] of rows.entries()) {
        const logprobs = expected[before.length - 1 + i];
        assert.equal(row.length, 20);
        for (const [id, logprob] of row) {
          assert.ok(Math.abs(logprobs[id] - logprob) < 1e-3, `${i}: ${id} ${logprobs[id]} ${logprob}`);
          compared++;
        }
        const likeliest = logprobs.indexOf(Math.max(...logprobs));
        assert.equal(row.toSorted((a, b) => b[1] - a[1])[0][0], likeliest);
      }
      assert.ok(compared >= 20 * 20);
    });
  }

  test('a dataset of texts that it read: every token once, its word beside those to learn from, within the budget', async () => {
    const { blobs, put } = inMemory();
    const text = Array.from({ length: 200 }, (_, i) => `Line ${i}, naïve – as ever: ${i * 7919}. `).join('');
    async function* texts() {
      yield text;
    }
    const { manifest, spent_tokens, train_tokens, validation_tokens } = await collect({
      ...{ teacher: await opened(), tokenizer, texts: texts(), reads: true, budget_tokens: 4200 },
      ...{ text_tokens: 64, at_once: 3, signal: running, put },
    });
    assert.ok(spent_tokens <= 4200 && spent_tokens > 4000, `${spent_tokens}`);
    const shards = new Map([...manifest.train, ...manifest.validation].map((shard) => [shard.hash, shard]));
    const stream = [...blobs.keys()].flatMap((hash) =>
      shards.has(hash) ? [...decodeShard(blobs.get(hash)!, manifest)] : [],
    );
    assert.equal(stream.length, train_tokens + validation_tokens);
    const read = tokenizer.decode(stream.filter((id) => id !== 256));
    assert.ok(text.startsWith(read) && read.length > 3500, 'the texts in their order, nothing left out');
    const [{ soft, tokens }] = manifest.train;
    const { codes } = decodeSoftRows(blobs.get(soft!)!, { ...manifest, top: 20, tokens });
    assert.ok(codes.filter((code) => code !== 65_535).length > 0.9 * codes.length);
  });
});

/** A teacher in memory that answers when it is told to. */
function toldTeacher(answer: (question: Question) => Answer) {
  const asked: { question: Question; signal: AbortSignal; say(): void; fail(error: Error): void }[] = [];
  const teacher: Teacher = {
    model: 'told',
    ask: (question, signal) =>
      new Promise((resolve, reject) => {
        asked.push({ question, signal, say: () => resolve(answer(question)), fail: reject });
      }),
  };
  return { teacher, asked };
}

const written = (ids: readonly number[]): Answer => ({
  tokens: ids.map((id) => ({ bytes: Uint8Array.of(id), name: String.fromCharCode(id), logprob: -1, top: [] })),
  spent_tokens: ids.length,
});
const options = (more: Partial<CollectOptions> & Pick<CollectOptions, 'teacher'>): CollectOptions => ({
  ...{ tokenizer, texts: null, reads: false, budget_tokens: 16_384, text_tokens: 1000, at_once: 4, signal: running },
  put: inMemory().put,
  ...more,
});
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the budget', () => {
  test('is never exceeded, though several are asked at once and answer in any order; texts keep the order of the questions', async () => {
    const { teacher, asked } = toldTeacher(({ max_tokens, seed }) =>
      written(
        Array.from(
          { length: seed % 3 === 0 ? Math.min(300, max_tokens) : max_tokens },
          (_, i) => (65 + seed + i * (seed + 1)) % 97,
        ),
      ),
    );
    const { blobs, put } = inMemory();
    const collecting = collect(options({ teacher, put }));
    let done = false;
    void collecting.finally(() => {
      done = true;
    });
    let said = 0;
    while (!done) {
      await turn();
      const waiting = asked.slice(said);
      said += waiting.length;
      for (const question of waiting.toReversed()) {
        question.say();
        await turn();
      }
    }
    const { manifest, spent_tokens } = await collecting;
    assert.ok(spent_tokens <= 16_384 && spent_tokens > 14_000, `${spent_tokens}`);
    assert.deepEqual(
      asked.map(({ question }) => question.seed),
      [...asked.keys()],
    );
    assert.ok(asked.every(({ question }) => question.max_tokens <= 1000 && question.max_tokens >= 16));
    const known = new Set([...manifest.train, ...manifest.validation].map(({ hash }) => hash));
    const stream = [...blobs].flatMap(([hash, bytes]) => (known.has(hash) ? [...decodeShard(bytes, manifest)] : []));
    // The first tokens of the texts are those of the seeds in order.
    const firsts = stream.filter((_, i) => i === 0 || stream[i - 1] === 256);
    assert.deepEqual(
      firsts,
      [...asked.keys()].map((seed) => (65 + seed) % 97),
    );
  });

  test('of too few tokens is refused before anybody is asked, and a teacher without a word is given up', async () => {
    const { teacher, asked } = toldTeacher(() => written([]));
    await assert.rejects(collect(options({ teacher, budget_tokens: 4095 })), { code: 'bad-argument' });
    assert.equal(asked.length, 0);
    const silent: Teacher = { model: 'silent', ask: async () => written([]) };
    await assert.rejects(collect(options({ teacher: silent })), { code: 'not-a-teacher', message: /nothing 32 times/ });
  });

  test('when one question fails or the person stops, those in flight are told', async () => {
    for (const stops of [false, true]) {
      const stopping = new AbortController();
      const { teacher, asked } = toldTeacher(() => written([65]));
      const collecting = collect(options({ teacher, signal: stopping.signal }));
      const refused = assert.rejects(collecting, stops ? { message: 'enough' } : { message: 'away' });
      while (asked.length < 4) await turn();
      if (stops) stopping.abort(new Error('enough'));
      asked[0].fail(new Error(stops ? 'enough' : 'away'));
      await refused;
      assert.ok(asked.every(({ signal }) => signal.aborted));
      assert.equal(asked.length, 4);
    }
  });
});

describe('what came before the teacher went away, or before the person stopped it', () => {
  const texts = 20;
  for (const stops of [false, true]) {
    test(`is a dataset, and why it is no larger is told: ${stops ? 'stopped' : 'refused'}`, async () => {
      const stopping = new AbortController();
      let count = 0;
      const teacher: Teacher = {
        model: 'tired',
        async ask({ max_tokens, seed }) {
          if (count++ < texts) return written(Array.from({ length: max_tokens }, (_, i) => (seed * 7 + i) % 97));
          if (stops) stopping.abort(new Error('enough'));
          stopping.signal.throwIfAborted();
          throw new TeacherError('teacher-refused', 'no credit left');
        },
      };
      const of = { teacher, text_tokens: 300, budget_tokens: 8192, at_once: 1, signal: stopping.signal };
      const { cut_short, train_tokens, validation_tokens } = await collect(options(of));
      assert.equal(train_tokens + validation_tokens, texts * 301);
      assert.equal(cut_short?.message, stops ? 'enough' : 'no credit left');
    });
  }

  test('is nothing where it is too little, and where the teacher turned out to be another', async () => {
    const refusing: Teacher = {
      model: 'r',
      ask: async () => {
        throw new TeacherError('teacher-refused', 'no');
      },
    };
    await assert.rejects(collect(options({ teacher: refusing })), { code: 'teacher-refused' });
    let count = 0;
    const turning: Teacher = {
      model: 't',
      ask: async ({ max_tokens }) =>
        count++ > 12
          ? { tokens: [{ bytes: null, name: '\ufffd', logprob: -1, top: [] }], spent_tokens: 1 }
          : written(Array.from({ length: max_tokens }, (_, i) => i % 97)),
    };
    await assert.rejects(collect(options({ teacher: turning, at_once: 1 })), { code: 'other-tokens' });
  });
});

describe('texts of a person', () => {
  async function* texts() {
    for (let i = 0; i < 3; i++) yield `${i} begins like this and goes on in a way that the teacher need not know of`;
  }

  test('are gone on from by their beginnings, which are learned without the word of anybody', async () => {
    const { teacher, asked } = toldTeacher(() => written([65, 66]));
    const collecting = assert.rejects(collect(options({ teacher, texts: texts() })), { code: 'no-text' });
    for (let said = 0; said < 3; ) {
      await turn();
      while (said < asked.length) asked[said++].say();
    }
    await collecting;
    assert.deepEqual(
      asked.map(({ question }) => question.prompt),
      [0, 1, 2].map((i) => `${i} begins like this and goes on i`),
    );
  });

  test('that come back with other tokens, or not at all, are no word on them', async () => {
    const deaf: Teacher = { model: 'deaf', ask: async () => written([65]) };
    await assert.rejects(collect(options({ teacher: deaf, texts: texts(), reads: true })), {
      code: 'other-tokens',
      message: /does not do echo/,
    });
  });
});

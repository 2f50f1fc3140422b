// Generates greedily with transformers.js, in a process of its own, because it brings its own copy of ONNX Runtime.
//   node test/transformers-js-child.ts PACKAGE_FOLDER MODEL_FOLDER DTYPE PROMPTS_JSON MAX_TOKENS     prints JSON
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The part of transformers.js that is used here. */
interface TransformersJs {
  readonly env: { version: string; allowRemoteModels: boolean; localModelPath: string };
  readonly AutoTokenizer: { from_pretrained(name: string): Promise<JsTokenizer> };
  readonly AutoModelForCausalLM: { from_pretrained(name: string, options: object): Promise<JsModel> };
  pipeline(task: 'text-generation', name: string, options: object): Promise<JsPipeline>;
}
interface JsTokenizer {
  (texts: string[], options: object): { readonly input_ids: { readonly dims: readonly number[] } };
  padding_side: string;
  batch_decode(ids: unknown, options: object): string[];
}
interface JsModel {
  generate(options: object): Promise<{ slice(rows: null, columns: [number, null]): unknown }>;
}
type JsPipeline = (prompt: string, options: object) => Promise<{ readonly generated_text: string }[]>;

/** What the parent reads. */
export interface JsReply {
  readonly version: string;
  /** The continuation of each prompt by the pipeline, one at a time. */
  readonly texts: readonly string[];
  /** The same by batches of two with padding. */
  readonly batched: readonly string[];
}

async function main(): Promise<void> {
  const [at, folder, dtype, prompts_json, max_tokens] = process.argv.slice(2);
  const found = createRequire(join(resolve(at), 'package.json')).resolve('@huggingface/transformers');
  const { env, AutoTokenizer, AutoModelForCausalLM, pipeline } = (await import(
    pathToFileURL(found).href
  )) as TransformersJs;
  env.allowRemoteModels = false;
  env.localModelPath = dirname(resolve(folder));
  const name = basename(resolve(folder));
  const prompts: string[] = JSON.parse(prompts_json);
  const greedy = { max_new_tokens: Number(max_tokens), do_sample: false };

  const write = await pipeline('text-generation', name, { dtype });
  const texts: string[] = [];
  for (const prompt of prompts) {
    const [{ generated_text }] = await write(prompt, { ...greedy, return_full_text: false });
    texts.push(generated_text);
  }

  const tokenizer = await AutoTokenizer.from_pretrained(name);
  tokenizer.padding_side = 'left';
  const model = await AutoModelForCausalLM.from_pretrained(name, { dtype });
  const batched: string[] = [];
  for (let i = 0; i < prompts.length; i += 2) {
    const inputs = tokenizer(prompts.slice(i, i + 2), { padding: true });
    const output = await model.generate({ ...inputs, ...greedy });
    const written = output.slice(null, [inputs.input_ids.dims[1], null]);
    batched.push(...tokenizer.batch_decode(written, { skip_special_tokens: true }));
  }
  const reply: JsReply = { version: env.version, texts, batched };
  process.stdout.write(`\n${JSON.stringify(reply)}\n`);
}

if (import.meta.main) await main();

// Limits of serving, in one place, each with its reason.
export const SERVING_LIMITS = {
  prompt_characters: 1_000_000, // a book; a longer body is refused at the door
  prompt_tokens: 262_144, // the longest context in wide use
  answer_tokens: 65_536, // a stream of hours on a slow device
  messages: 4096, // an agent's day
  tools: 128, // OpenAI's own limit
  seed_characters: 64, // a hash in hex
  biases: 1024, // OpenAI's own limit
  stops: 4, // OpenAI's own limit
  stop_characters: 256, // held back while it may begin: longer would make streams stutter
  top_logprobs: 20, // OpenAI's own limit
  grammar_states: 50_000, // some MB, built within half a second; OpenAI's largest schema (5000 properties) needs fewer
  grammar_nesting: 64, // open arrays and objects of one value: an end to `[[[[`, and to what a validator recurses into
  schema_values: 20_000, // JSON values in a schema: four for each of OpenAI's 5000 properties
  schema_characters: 500_000, // four times OpenAI's limit for its names and values
  committee_members: 8, // each takes a place of its own and is paid
  check_steps: 1_000_000, // of validating a whole value: half a second
} as const;

/** Limits of the API over HTTP. */
export const API_LIMITS = {
  body_bytes: 8 * 2 ** 20, // the longest prompt in UTF-8, escaped as JSON
  choices: 16, // answers to one request, each of which takes a place of its own
  prompts: 64, // of one request for completions, as evaluation tools batch them
  embedding_inputs: 2048, // OpenAI's own limit
  legacy_logprobs: 20, // OpenAI allows 5; what chat completions name may be named here too
  completion_tokens: 16, // OpenAI's own default, for completions only
  keep_alive_ms: 10_000, // proxies close a connection in which nothing was said for 30 to 60 seconds
  first_wait_ms: 3000, // after that the stream opens, and what goes wrong is an event in it
  stalled_ms: 60_000, // a client that reads nothing for so long holds a place that others want
  unread_events: 64, // held for a client that reads slowly; then the model waits as well
  schema_depth: 64, // a schema or a tool's parameters that are nested deeper are refused
  key_name_characters: 80, // how people tell keys apart
  owners: 64, // accounts whose devices one key, or one request, trusts
  reset_ms: 60_000, // a quota is full again after a minute without requests
} as const;

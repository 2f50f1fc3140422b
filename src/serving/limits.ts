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
} as const;

// What tokens are worth: batches beyond the critical one waste them, and a loss follows from parameters and tokens. Published laws, each with its
// source; what goes beyond the sizes they were fitted at is marked as a guess.

/**
 * Critical batch by tokens (Zhang et al., "How Does Critical Batch Size Scale in Pre-training?", arXiv 2410.21676): B* = 22.91 · D^0.47 sequences of
 * 512 tokens with D in millions of tokens (their other form of it, B* = 93.20 · N^0.47 at D = 20 N, agrees), fitted from 85 million to 1.2
 * thousand million parameters. It is the batch that takes a fifth more steps than a linear speed-up would.
 */
const CRITICAL = { factor: 22.91, exponent: 0.47, sequence_tokens: 512, per: 1e6, overhead: 0.2 };

/** The critical batch of a run over so many tokens, in tokens. */
export const criticalBatch = (tokens: number): number =>
  CRITICAL.factor * (tokens / CRITICAL.per) ** CRITICAL.exponent * CRITICAL.sequence_tokens;

/**
 * The part of a batch's tokens that a small batch would have needed for the same progress: 1 / (1 + B / B₀) (McCandlish et al., arXiv
 * 1812.06162), where B₀ is such that B* costs a fifth more.
 */
export const usefulPart = (batch_tokens: number, critical_tokens: number): number =>
  1 / (1 + (CRITICAL.overhead * batch_tokens) / critical_tokens);

/** L = E + A / N^α + B / D^β. */
interface Chinchilla {
  readonly E: number;
  readonly A: number;
  readonly B: number;
  readonly alpha: number;
  readonly beta: number;
}
/** Besiroglu et al., "Chinchilla Scaling: A replication attempt", arXiv 2404.10102: what we say. */
const REPLICATED: Chinchilla = { E: 1.8172, A: 482.01, B: 2085.43, alpha: 0.3478, beta: 0.3658 };
/** Hoffmann et al., arXiv 2203.15556, appendix D.3: the other end of the band. */
const ORIGINAL: Chinchilla = { E: 1.69, A: 406.4, B: 410.7, alpha: 0.34, beta: 0.28 };

const lossBy = ({ E, A, B, alpha, beta }: Chinchilla, parameters: number, tokens: number): number =>
  E + A / parameters ** alpha + B / tokens ** beta;

/**
 * How much replicas that learn apart cost (Charles et al., "Scaling Laws for DiLoCo", arXiv 2503.09799). Their joint fit, table 10: loss in
 * proportion to N^−0.0985 · M^0.0116 with M replicas, from 35 million to 2.4 thousand million parameters and M from 1 to 8, every 30 steps.
 */
const JOINT_EXPONENT = 0.0116;
/** Their fits for M = 1 and M = 8 by themselves, table 7: the cost shrinks with the size of the model, which the joint fit does not know. */
const ALONE = { A: 18.363, alpha: -0.0961 };
const EIGHT = { A: 21.051, alpha: -0.1018 };
const FITTED = { replicas: 8, parameters: 2.4e9 };

/** The factor on the loss of one replica, as the joint fit has it, and as the separate fits do. Beyond eight replicas it is a guess. */
export function replicaFactor(
  parameters: number,
  replicas: number,
): { readonly joint: number; readonly separate: number } {
  const m = Math.max(1, replicas);
  const at8 = (EIGHT.A * parameters ** EIGHT.alpha) / (ALONE.A * parameters ** ALONE.alpha);
  return { joint: m ** JOINT_EXPONENT, separate: Math.max(1, at8) ** (Math.log(m) / Math.log(FITTED.replicas)) };
}

export interface Loss {
  /** In nats a token, of the text that the laws were fitted on. */
  readonly loss: number;
  readonly low: number;
  readonly high: number;
  /** What of it goes beyond what was measured, in words; empty where nothing does. */
  readonly guesses: string[];
}

/** The loss of a model after so many useful tokens, learned by so many replicas; the band is the least and the most of the published fits. */
export function lossOf(parameters: number, tokens: number, replicas: number): Loss {
  const { joint, separate } = replicaFactor(parameters, replicas);
  const seen = Math.max(1, tokens);
  const all = [REPLICATED, ORIGINAL].flatMap((law) => {
    const loss = lossBy(law, parameters, seen);
    return [loss, loss * joint, loss * separate];
  });
  const guesses = [
    ...(replicas > FITTED.replicas
      ? [`${Math.round(replicas)} replicas, where the law was fitted with at most ${FITTED.replicas}`]
      : []),
    ...(parameters > FITTED.parameters
      ? [
          `${parameters.toPrecision(2)} parameters, where it was fitted with at most ${FITTED.parameters.toPrecision(2)}`,
        ]
      : []),
  ];
  return { loss: lossBy(REPLICATED, parameters, seen) * joint, low: Math.min(...all), high: Math.max(...all), guesses };
}

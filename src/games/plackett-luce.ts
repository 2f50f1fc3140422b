// Skill from rankings: the Bayesian update of a Plackett–Luce model for single players (Weng and Lin, JMLR 12, 2011, algorithm 4).

export interface Skill {
  /** The skill's mean and deviation. */
  readonly mu: number;
  readonly sigma: number;
}

/** The skill of an unknown player, as in TrueSkill. */
export const UNKNOWN_SKILL: Skill = { mu: 25, sigma: 25 / 3 };

/** A lower bound of a skill: the mean less three deviations, 0 for an unknown player. */
export const ordinal = ({ mu, sigma }: Skill): number => mu - 3 * sigma;

/** Templar's constants: differences in skill are small beside the noise of a game, and skills drift slowly. */
const BETA = 7;
const TAU = 0.1;
/** The paper's kappa: the smallest factor that a variance is multiplied with. */
const VARIANCE_KEPT = 1e-4;

interface Player extends Skill {
  /** The result that ranks a player: more is better, equal results tie. */
  readonly result: number;
}

/** The skills after one game, in the order of the players. Names are the paper's. */
export function afterGame(players: readonly Player[]): Skill[] {
  const variances = players.map(({ sigma }) => sigma ** 2 + TAU ** 2);
  const c = Math.sqrt(variances.reduce((sum, variance) => sum + variance + BETA ** 2, 0));
  const weights = players.map(({ mu }) => Math.exp(mu / c));
  // For each place q: how many players share it, and the weight of all who could still have taken it.
  const places = players.map(({ result }) => {
    const sharing = players.filter((other) => other.result === result).length;
    const there = weights.reduce((sum, weight, s) => (players[s].result <= result ? sum + weight : sum), 0);
    return { sharing, there };
  });
  return players.map(({ mu, result }, i) => {
    let omega = 0;
    let delta = 0;
    places.forEach(({ sharing, there }, q) => {
      if (players[q].result < result) return;
      const taken = weights[i] / there;
      omega += ((q === i ? 1 : 0) - taken) / sharing;
      delta += (taken * (1 - taken)) / sharing;
    });
    const variance = variances[i];
    const sigma = Math.sqrt(variance);
    const gamma = sigma / c;
    const kept = Math.max(1 - gamma * (variance / c ** 2) * delta, VARIANCE_KEPT);
    return { mu: mu + (variance / c) * omega, sigma: sigma * Math.sqrt(kept) };
  });
}

// How an arena judges a round: every judge seals its verdict, honest judges rate the workers, and revealed verdicts are public afterwards.
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import { sealOf } from '../core/rounds/judging.ts';
import { type Duty, dutyOf, repeatableOf } from '../core/rounds/panel.ts';
import type { Submission } from '../core/state.ts';
import type { Judging, Verdict } from '../games/game.ts';
import { comparedWith } from '../games/judging-draw.ts';
import { judgedWork, ratedWeight } from '../games/rated-weight.ts';
import { utf8 } from '../protocol/hash.ts';
import type { ArenaNetwork } from './arena-network.ts';
import { countFate, type Participant } from './arena-participants.ts';
import { verdictEvent } from './arena-verdict.ts';

/** Enough for the work of a small stage on a busy machine. */
const STAGE_JUDGING_MS = 120_000;

export class ArenaJudging {
  readonly #arena: ArenaNetwork;
  /** Verdicts of honest judges on work of honest workers. */
  readonly honest = { judged: 0, refused: 0 };
  readonly checking: { work_ms: number; check_ms: number; planted_ms: number }[] = [];
  handed_in: ReadonlySet<string> = new Set();

  constructor(arena: ArenaNetwork) {
    this.#arena = arena;
  }

  /** Judging begins: counts the cost of the round's work once, however often judges are asked; planted work does not count. */
  begin(): void {
    const works = [...this.#arena.run.submissions.values()].filter(({ worker }) => worker !== this.#arena.planter);
    const work_ms = works.reduce((sum, { id }) => sum + this.#arena.work_ms.get(id)!, 0);
    this.checking.push({ work_ms, check_ms: 0, planted_ms: 0 });
  }

  /** Every judge that has not sealed yet seals its verdict, in the order of the log; it reveals the verdict later. */
  async judge(): Promise<{ readonly participant: Participant; readonly verdict: VerdictGiven }[]> {
    const found: { participant: Participant; verdict: VerdictGiven }[] = [];
    const bill = this.checking.at(-1)!;
    for (const [own, submission] of [...this.#arena.run.submissions.values()].entries()) {
      const isPlanted = submission.worker === this.#arena.planter;
      // Undisputed work is judged once.
      for (const judge of submission.judges.filter((id) => !submission.seals.has(id))) {
        const participant = this.#arena.participants.find(({ identity }) => identity.id === judge)!;
        const before_ms = participant.cost.cpu_ms;
        const verdict = await this.#arena.call(participant, 'check', () =>
          this.verdictOf(participant, submission, own),
        );
        if (participant.device.adversary === null) {
          bill[isPlanted ? 'planted_ms' : 'check_ms'] += participant.cost.cpu_ms - before_ms;
        }
        if (!verdict) continue;
        const { refused } = await this.#arena.send(participant.identity, {
          ...{ type: 'verdict.sealed', version: 1, run: this.#arena.run.id, submission: submission.id },
          ...(submission.first && { appeal: true }),
          seal: sealOf(judge, verdict),
        });
        if (refused) countFate(participant, `seal refused: ${refused}`);
        else found.push({ participant, verdict });
      }
    }
    return found;
  }

  async verdictOf(participant: Participant, submission: Submission, own: number): Promise<VerdictGiven> {
    const { worker, body } = submission;
    const { run } = this.#arena;
    const duty = dutyOf(repeatableOf(run, submission), participant.identity.id);
    const found = await this.findingOf(participant, submission, own, duty);
    const ratings = await participant.ratings;
    const measured = judgedWork(worker, body, found);
    if (measured) await ratings.measured(run.round, measured);
    const author = this.#arena.participants.find(({ identity }) => identity.id === worker)!;
    if (participant.device.adversary === null) {
      countFate(author, found.code);
      if (author.device.adversary === null) {
        this.honest.judged++;
        if (!found.accepted) this.honest.refused++;
      }
    }
    const evidence = this.#arena.put(utf8(JSON.stringify(found.evidence)));
    const { rating_permille = 0 } = run.rules;
    const weight = found.accepted ? ratedWeight(found.weight, rating_permille, ratings.standing(worker)) : 0;
    return verdictEvent(run, submission, participant.identity, { ...found, weight }, evidence);
  }

  /** The finding of a device's own game on a submission, with the knowledge of judges; `own` is the submission's position in the round. */
  async findingOf(participant: Participant, submission: Submission, own: number, duty: Duty): Promise<Verdict> {
    const { id, worker } = submission;
    const { run, blobs, merged_before } = this.#arena;
    const submissions = [...run.submissions.values()].map(({ body }) => blobs.get(body.work)!);
    const judging: Judging = {
      ...{ runtime: run.peers.get(worker)!.runtime, ...duty },
      // Who asks other devices has to stop waiting for them.
      time_ms: this.#arena.stages ? STAGE_JUDGING_MS : Number.POSITIVE_INFINITY,
      earlier: async () => comparedWith(merged_before, submissions, own),
    };
    const task = await participant.game.task(
      this.#arena.options.params,
      this.#arena.roundOf(worker),
      worker,
      await this.#arena.stateNow(),
    );
    const { work, amount, numbers } = this.#arena.claims.get(id)!;
    return participant.game.check(task, { work, amount, numbers }, participant.lent, judging);
  }

  /** What everybody can read after the verdicts are revealed. */
  remember(): void {
    this.handed_in = new Set([...this.#arena.run.submissions.values()].map(({ worker }) => worker));
    this.#arena.last_verdicts.clear();
    for (const { worker, verdicts } of this.#arena.run.submissions.values()) {
      const said = [...verdicts].map(([id, { accepted }]) => [id, accepted ? 'accepted' : 'refused'] as const);
      this.#arena.last_verdicts.set(worker, new Map(said));
    }
  }

  /** After the merge: rates the workers by what was measured in the round. */
  async end(): Promise<void> {
    for (const { ratings } of this.#arena.participants)
      await (await ratings).opened(this.#arena.run.round, this.handed_in);
  }
}

// The arena: plays a game with the real core, real work, checks, merges and pay, one device after another and without a network,
// so that a designer sees before a launch which strategy would earn how much. One seed gives one history, but for games in stages (arena-stages.ts).
import { silentFrom_ms } from '../core/rounds/deadlines.ts';
import { mostAmount } from '../core/rounds/first-work.ts';
import { acceptedSubmissions } from '../core/rounds/judging.ts';
import { mergedList } from '../core/rounds/merged-list.ts';
import { isCheckpoint } from '../core/rounds/merging.ts';
import { awaitsDraw, roundDrawn } from '../core/rounds/panel.ts';
import { mayStateShares, statementOf } from '../core/shares/share-table.ts';
import { encodeBundle } from '../games/bundle.ts';
import type { AcceptedWork, Claim } from '../games/game.ts';
import { cutState, followState, hashOfState, keepState, mergeState } from '../games/state.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { ArenaComings } from './arena-comings.ts';
import { ArenaJudging } from './arena-judging.ts';
import { ArenaNetwork, type ArenaOptions } from './arena-network.ts';
import { countFate, HANDED_IN, type Participant } from './arena-participants.ts';
import { ArenaPlanting } from './arena-planting.ts';
import { type ArenaResult, resultOf } from './arena-result.ts';
import { SimulationError } from './errors.ts';

/**
 * Plays a run to its end. Throws the game's errors if the network itself would stand still (merge, the state's bytes,
 * evaluation) or if `ends_when_broken` says so, and SimulationError `violated` if the core refuses an event that its own rules demand.
 */
export async function playArena(options: ArenaOptions): Promise<ArenaResult> {
  return new Arena(options).play();
}

class Arena extends ArenaNetwork {
  readonly comings = new ArenaComings(this);
  readonly judging = new ArenaJudging(this);
  readonly planting = new ArenaPlanting(this, this.judging);

  async play(): Promise<ArenaResult> {
    const { rounds, devices } = this.options;
    await this.create();
    for (const device of devices) for (const participant of this.participantsFor(device)) await this.join(participant);
    for (const { identity, device } of this.participants) if (device.record) this.trust(identity.id, device.record);
    const measured = [await this.evaluate()];
    const verified = [0];
    while (this.run.round < rounds && this.run.attempt < 3) {
      const { round } = this.run;
      await this.playRound();
      if (this.run.round === round) continue;
      measured.push(await this.evaluate());
      verified.push(this.run.merged_amount);
      this.options.onRound?.(round, measured.at(-1)!);
    }
    return {
      devices: devices.map((device) => resultOf(this.run, device, this.participants)),
      ...{ measured, verified, better: this.options.game.metrics[0].better },
      honest: this.judging.honest,
      checking: this.judging.checking,
      events: this.state.events,
      model: this.run.model,
    };
  }

  /** Gives a worker a record, and the largest bond that makes a difference: more than any claim has. */
  trust(id: string, record: number): void {
    const peer = this.run.peers.get(id);
    if (!peer) return;
    peer.consecutive_valid = record;
    this.run.withheld.set(id, [{ round: 0, account: id, shares: 0, amount: Number.MAX_SAFE_INTEGER }]);
  }

  async playRound(): Promise<void> {
    const { run } = this;
    if (mayStateShares(run)) await this.must(this.hub, statementOf(run));
    await this.comings.begin();
    await this.planting.begin();
    await this.tick(this.state.time_ms + 1);
    await this.must(this.hub, {
      ...{ type: 'round.opened', version: 1, run: run.id, round: run.round, attempt: run.attempt },
    });
    this.claims.clear();
    this.stages?.begin(run);
    await this.workAll(this.inOrder());
    // A worker that has submitted nothing is late: the round ends without it, after its deadline and the grace period.
    if (run.phase === 'working') await this.tick(run.deadline_ms);
    while (run.phase === 'judging' && run.draw === null) await this.draw();
    this.judging.begin();
    // Twice, if the first verdicts differ.
    while (run.phase === 'judging') {
      const verdicts = await this.judge();
      for (const { participant, verdict } of verdicts) {
        const { refused } = await this.send(participant.identity, verdict);
        if (refused) countFate(participant, `verdict refused: ${refused}`);
      }
      while (this.run.phase === 'revealing') await this.tick(this.nextDeadline());
    }
    await this.planting.look();
    this.judging.remember();
    await this.merge();
    await this.judging.end();
    await this.planting.end();
  }

  /** Judges seal their verdicts: the first ones, and, after half of the time, those that replace silent ones. */
  async judge(): Promise<Awaited<ReturnType<ArenaJudging['judge']>>> {
    const isJudging = (): boolean => this.run.phase === 'judging';
    const verdicts = await this.judging.judge();
    while (isJudging()) {
      await this.tick(this.nextDeadline());
      if (isJudging()) verdicts.push(...(await this.judging.judge()));
    }
    return verdicts;
  }

  /** Closes the list of work and draws the judges. */
  async draw(): Promise<void> {
    if (!awaitsDraw(this.run, this.state.time_ms)) return void (await this.tick(this.nextDeadline()));
    await this.must(this.hub, roundDrawn(this.run, this.hub.prove));
    await this.tick(this.state.time_ms + 1);
  }

  nextDeadline(): number {
    const { phase, draw, replaced, grace_deadline_ms, judging_deadline_ms, reveal_deadline_ms } = this.run;
    const seals_ms = replaced ? judging_deadline_ms : silentFrom_ms(this.run);
    const judging_ms = draw === null ? grace_deadline_ms : seals_ms;
    return Math.max(this.state.time_ms + 1, phase === 'judging' ? judging_ms : reveal_deadline_ms);
  }

  /** Devices in an order that the seed shuffles; after them the adversaries that wait for the work of others. */
  inOrder(): Participant[] {
    const workers = this.participants.filter(({ device, identity }) => {
      return device.role === 'worker' && this.run.peers.get(identity.id)?.present;
    });
    const drawn = workers.map((participant) => ({
      participant,
      late: participant.device.adversary?.waits ?? false,
      at: this.random.uint32(),
    }));
    drawn.sort((a, b) => (a.late !== b.late ? (a.late ? 1 : -1) : a.at - b.at));
    return drawn.map(({ participant }) => participant);
  }

  /** One after the other; of a game with stages all at once, but for those that wait for the work of others. */
  async workAll(workers: readonly Participant[]): Promise<void> {
    const late = workers.filter(({ device }) => device.adversary?.waits);
    const together = this.stages ? workers.filter((worker) => !late.includes(worker)) : [];
    if (this.stages) {
      const before = process.cpuUsage();
      const done = await this.stages.work(together, (participant) => this.perform(participant));
      const { user, system } = process.cpuUsage(before);
      // Nobody can say whose processor time it was.
      const each_ms = (user + system) / 1000 / Math.max(1, done.filter(({ claim }) => claim).length);
      for (const { participant, claim } of done) if (claim) await this.handIn(participant, claim, each_ms);
    }
    for (const participant of this.stages ? late : workers) {
      const before_ms = participant.cost.cpu_ms;
      const claim = await this.perform(participant);
      if (claim) await this.handIn(participant, claim, participant.cost.cpu_ms - before_ms);
    }
  }

  async perform(participant: Participant): Promise<Claim | null> {
    const { params } = this.options;
    const { id } = participant.identity;
    return this.call(participant, 'perform', async () => {
      const most_amount = mostAmount(this.run, id);
      const round = { ...this.roundOf(id), ...(most_amount !== null && { most_amount }) };
      const task = await participant.game.task(params, round, id, await this.stateNow());
      participant.time.up = new AbortController();
      return participant.game.perform(task, participant.lent, participant.time.up.signal);
    });
  }

  async handIn(participant: Participant, claim: Claim, cost_ms: number): Promise<void> {
    const { game, params } = this.options;
    const { identity } = participant;
    const size_bytes = claim.work.length;
    try {
      const { max_bytes } = await game.sizes(params);
      if (size_bytes > max_bytes) {
        throw new SimulationError('bad-options', `work: expected at most ${max_bytes} bytes, got ${size_bytes}`);
      }
      await game.checkForm(params, claim.work);
    } catch (error) {
      return this.broke(participant, error, 'the hub refuses its form');
    }
    const { round, attempt, model: base, id: run } = this.run;
    const { amount, numbers } = claim;
    const work = this.put(claim.work);
    const pledge = (await this.planting.pledge(participant, work)) ?? sha256Hex(claim.work);
    const { stage } = this.roundOf(identity.id);
    const { event, refused } = await this.send(identity, {
      ...{ type: 'work.submitted', version: 2, run, round, attempt, base, work, size_bytes },
      ...{ amount, numbers, pledge, ...(stage !== undefined && { stage }) },
    });
    if (refused) return countFate(participant, `the hub refuses it: ${refused}`);
    this.claims.set(event.id, claim);
    this.work_ms.set(event.id, cost_ms);
    countFate(participant, HANDED_IN);
  }

  /** What the hub does when the verdicts are in. */
  async merge(): Promise<void> {
    const { game, params, watch } = this.options;
    const { run } = this;
    const accepted = acceptedSubmissions(this.state, run).map(({ submission }) => submission);
    const works: AcceptedWork[] = accepted.map(({ body }) => ({
      work: this.blobs.get(body.work)!,
      weight: body.amount,
    }));
    let { model } = run;
    let bundle: string | null = null;
    let named: { step?: string; rest?: string } = {};
    if (works.length > 0) {
      watch?.({ what: 'merge', who: 'hub' });
      const cut = await cutState(game, params, { state: this.present, rest: this.rest }, works);
      if (cut) this.present = await followState(game, params, this.present, cut.step);
      else this.present = await mergeState(game, params, this.present, works);
      this.rest = cut?.rest ?? null;
      if (cut) named = { step: this.put(cut.step) };
      model = await this.nameOfState();
      watch?.(null);
      bundle = this.put(encodeBundle(works));
      this.merged_before = works.map(({ work }) => work);
    }
    const { round, attempt, id } = run;
    const checkpoint = isCheckpoint(run, { bundle });
    if (checkpoint && named.step)
      named.rest = await keepState(game, params, this.rest, async (bytes) => this.put(bytes), 'rest');
    await this.must(this.hub, {
      ...{ type: 'round.merged', version: 2, run: id, round, attempt, model, bundle, checkpoint, ...named },
      ...mergedList(accepted.map((submission) => submission.id)),
    });
  }

  /** The present state's hash; with stages its blobs are kept, from which everybody reads it. */
  nameOfState(): Promise<string> {
    const { game, params } = this.options;
    if (!this.stages) return hashOfState(game, params, this.present);
    return keepState(game, params, this.present, async (bytes) => this.put(bytes));
  }

  async evaluate(): Promise<number> {
    const { game, params, devices, watch } = this.options;
    watch?.({ what: 'evaluate', who: 'validator' });
    const judge = this.participants.find(({ device }) => device.role === 'validator' && device.adversary === null);
    if (!judge)
      throw new SimulationError('bad-options', `expected an honest validator among ${devices.length} devices`);
    const measured = await game.evaluate(params, await this.stateNow(), judge.lent);
    watch?.(null);
    return measured[game.metrics[0].name];
  }
}

// What the potluck command can do: a sentence for each part, and where it is loaded from once it is meant.
import type { Command } from 'commander';

interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** In the order in which --help lists them. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  demo: {
    summary: 'Train a small language model on this machine with a hub, a validator and several workers.',
    load: async () => (await import('./demo.ts')).demoCommand(),
  },
  hub: {
    summary: 'Run a hub: the meeting place where runs are kept and peers find each other.',
    load: async () => (await import('./hub.ts')).hubCommand(),
  },
  run: {
    summary: 'Create and list runs; pause, resume, move and end your own.',
    load: async () => (await import('./run.ts')).runCommand(),
  },
  distil: {
    summary: 'Start a run in which a small model learns from a teacher behind any OpenAI-compatible API.',
    load: async () => (await import('./distil.ts')).distilCommand(),
  },
  join: {
    summary: 'Lend this device to a run: train, or check what others trained.',
    load: async () => (await import('./join.ts')).joinCommand(),
  },
  device: {
    summary: 'Set when and how much this machine works, pause it, and see why it does not.',
    load: async () => (await import('./device.ts')).deviceCommand(),
  },
  devices: {
    summary: 'Show all of your devices, wherever they are; set, pause and resume one or all of them.',
    load: async () => (await import('./devices.ts')).devicesCommand(),
  },
  service: {
    summary: 'Have this machine lend itself from its start on: install, remove, status, logs.',
    load: async () => (await import('./service.ts')).serviceCommand(),
  },
  status: {
    summary: 'Show the runs of a hub and who takes part.',
    load: async () => (await import('./status.ts')).statusCommand(),
  },
  export: {
    summary: "Write a run's present model as other tools read it, with its table of shares and a signed manifest.",
    load: async () => (await import('./export.ts')).exportCommand(),
  },
  serve: {
    summary: 'Serve a model on this machine through the API that programs know from OpenAI.',
    load: async () => (await import('./serve.ts')).serveCommand(),
  },
  grade: {
    summary: "Have models answer questions and a program grade the answers: what a committee's scorer learns from.",
    load: async () => (await import('./grade.ts')).gradeCommand(),
  },
  chat: {
    summary: 'Talk to a model: one that this machine serves, or any behind the same API.',
    load: async () => (await import('./chat.ts')).chatCommand(),
  },
  id: {
    summary: 'Show who you are here, move that to another machine, or disown a device.',
    load: async () => (await import('./id.ts')).idCommand(),
  },
  verify: {
    summary:
      "Check a certificate of ownership, a receipt of a day, or an exported model's folder. Needs no network and no key.",
    load: async () => (await import('./verify.ts')).verifyCommand(),
  },
  certificate: {
    summary: 'Write a file that proves, offline, which part of a model is yours.',
    load: async () => (await import('./certificate.ts')).certificateCommand(),
  },
  stake: {
    summary: "Lock shares that you hold behind your validator's verdicts, or ask for them back.",
    load: async () => (await import('./stake.ts')).stakeCommand(),
  },
  settle: {
    summary: "Write a run's balances as a Merkle tree of (index, address, amount) for a distributor contract.",
    load: async () => (await import('./settle.ts')).settleCommand(),
  },
  witness: {
    summary: "Follow a hub's log, cosign what it shows, and prove it to everybody when the hub rewrites its past.",
    load: async () => (await import('./witness.ts')).witnessCommand(),
  },
  audit: {
    summary: 'Check a hub: every event, signature, transition, share and model version, from its public log.',
    load: async () => (await import('./audit.ts')).auditCommand(),
  },
  shares: {
    summary: 'Show who holds which part of a run, recomputed here from the public log.',
    load: async () => (await import('./shares.ts')).sharesCommand(),
  },
  credit: {
    summary: 'Show what answers have cost and brought an account, recomputed here from the public log.',
    load: async () => (await import('./credit.ts')).creditCommand(),
  },
  rules: {
    summary: 'Show the rules of a run, or propose others for a later round.',
    load: async () => (await import('./rules.ts')).rulesCommand(),
  },
  game: {
    summary: 'Write the start of a game of your own, and validate a game against its own honest answer.',
    load: async () => (await import('./game.ts')).gameCommand(),
  },
  play: {
    summary: 'Try a game against a crowd of liars before you launch it.',
    load: async () => (await import('./play.ts')).playCommand(),
  },
  plant: {
    summary: "Find judges who do not look: hand in work whose right verdict only the run's owner knows.",
    load: async () => (await import('./plant.ts')).plantCommand(),
  },
  ratings: {
    summary: 'Show how validators on this machine rate the workers that they judged.',
    load: async () => (await import('./ratings.ts')).ratingsCommand(),
  },
  recheck: {
    summary: 'Judge a submission again from the public log, with every step of its worker since it last began afresh.',
    load: async () => (await import('./recheck.ts')).recheckCommand(),
  },
  contest: {
    summary: 'Have a decision that a recheck contradicts judged again by everybody who may judge.',
    load: async () => (await import('./contest.ts')).contestCommand(),
  },
  why: {
    summary: 'Explain what a submission earned, recomputed here from the public log.',
    load: async () => (await import('./why.ts')).whyCommand(),
  },
  completion: {
    summary: 'Print a script that completes potluck commands in your shell.',
    load: async () => (await import('./completion.ts')).completionCommand(allCommands),
  },
};

/** One command, with its sentence. */
export async function loadCommand(name: string): Promise<Command> {
  const { summary, load } = COMMANDS[name];
  return (await load()).description(summary);
}

const allCommands = (): Promise<Command[]> => Promise.all(Object.keys(COMMANDS).map(loadCommand));

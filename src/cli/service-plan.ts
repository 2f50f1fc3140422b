// What makes `potluck join` a service of the system: files to write and commands to run, for each platform a pure function of the settings.

export interface ServiceSettings {
  /** The programs that run, by their absolute paths: they stay those that were installed, whatever comes later. */
  readonly node: string;
  readonly potluck: string;
  /** What `potluck` is given: "join" and what belongs to it. */
  readonly words: readonly string[];
  /** POTLUCK_HOME of the service, and the folder in it for what belongs to the service alone. */
  readonly home: string;
  readonly folder: string;
  /** The user whose service it is: home folder, name and number. */
  readonly user: { readonly home: string; readonly name: string; readonly uid: number };
  /** Linux: this user's services do not run yet while the user is logged out, and are to. */
  readonly asks_linger: boolean;
}

/** A command, and what its failure means. */
export interface Command {
  readonly words: readonly string[];
  /** It may fail, because there may be nothing to do; a sentence is said. */
  readonly may_fail?: string;
}

export interface ServiceFile {
  readonly path: string;
  readonly text: string;
  /** Windows reads task files in this encoding only. */
  readonly utf16?: true;
}

export interface ServicePlan {
  readonly files: readonly ServiceFile[];
  /** What `install` has the system make; it is removed where the system does not answer any more. */
  readonly made: readonly string[];
  /** In order, after the files are written. */
  readonly install: readonly Command[];
  /** In order, before the files are removed and after. */
  readonly stop: readonly Command[];
  readonly after_removal: readonly Command[];
  /** Where the system keeps what the service says: a command prints it, or it is in Potluck's own file. */
  readonly logs: ((lines: number) => Command) | 'own-file';
  /** What tells how it stands; 'own-file': the supervisor writes it down (service-run.ts). */
  readonly status: Command | 'own-file';
}

/** How an installed service stands. */
export interface Standing {
  /** It will start with the machine, or at the next login. */
  readonly enabled: boolean;
  readonly running: boolean;
  /** The process of `potluck join`. */
  readonly pid: number | null;
  readonly since_ms: number | null;
  readonly last_exit: string | null;
  readonly restarts: number;
}

/** The file that says what is installed, and what `potluck service run` runs. */
export const RECORD = 'service.json';

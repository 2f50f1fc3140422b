// Faults of one line in what becomes of judges who keep silent.
import type { PlantedFault } from './planted-rules.ts';

export const SILENCE: readonly PlantedFault[] = [
  {
    name: 'silence-is-free',
    file: 'core/rounds/merging.ts',
    find: '  settleSilence(state, run);\n',
    replace: '',
    by: 'rules',
    unit: ['core/rounds/silence.test.ts', 'is warned and keeps its seat'],
  },
  {
    name: 'the-first-silence-suspends',
    file: 'core/rounds/eligible.ts',
    find: 'warned.has(accountOf(state, peer.id)) && ',
    replace: '',
    by: 'rules',
    unit: ['core/rounds/silence.test.ts', 'is warned and keeps its seat'],
  },
  {
    name: 'another-device-keeps-silent-for-nothing',
    file: 'core/rounds/eligible.ts',
    find: 'warned.has(accountOf(state, peer.id)) && ',
    replace: 'peer.warned_until > run.round && ',
    by: 'rules',
    unit: ['core/rounds/silence.test.ts', 'is warned for its account'],
  },
  {
    name: 'who-was-silent-sits-in-the-jury',
    file: 'core/rounds/appeal.ts',
    find: 'heard.length > 0 ? heard : eligibleHere(run)',
    replace: 'eligibleHere(run)',
    by: 'rules',
    unit: ['core/rounds/silence.test.ts', 'is not asked again in the round'],
  },
  {
    name: 'silent-judges-take-the-places-of-silent-ones',
    file: 'core/rounds/panel.ts',
    find: 'heardHere(run).filter((id) => !idle.includes(id))',
    replace: 'heardHere(run)',
    by: 'rules',
  },
  {
    name: 'who-does-not-show-was-not-silent',
    file: 'core/rounds/deadlines.ts',
    find: 'seals.has(id) && !verdicts.has(id)',
    replace: '!seals.has(id) && !verdicts.has(id)',
    by: 'rules',
    unit: ['core/rounds/silence.test.ts', 'is one that has sealed and does not show'],
  },
];

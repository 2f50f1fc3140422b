// For `node --import`: plants the fault that POTLUCK_PLANTED names into the process that begins.
import { plantHere } from './plant.ts';
import { PLANTED_FAULTS } from './planted-faults.ts';

const fault = PLANTED_FAULTS.find(({ name }) => name === process.env.POTLUCK_PLANTED);
if (fault) plantHere(fault);

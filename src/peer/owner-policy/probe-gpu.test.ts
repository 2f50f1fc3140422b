// What nvidia-smi says, in the forms that its manual gives, and whose load it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gpuSource, gpusOf } from './probe-gpu.ts';
import type { Run } from './sources.ts';

test('graphics processors as nvidia-smi lists them', () => {
  assert.deepEqual(gpusOf({ text: '0, 97, 71\n1, 0, [N/A]\n' }), { known: [card(0, 97, 71), card(1, 0, null)] });
  assert.deepEqual(gpusOf({ missing: true }), { absent: 'no nvidia-smi' });
  assert.deepEqual(gpusOf({ failed: 'nvidia-smi: Failed to initialize NVML' }), {
    unknown: 'nvidia-smi: Failed to initialize NVML',
  });
  for (const text of ['No devices were found', '0, [N/A], 50', '0, 101, 50', ''])
    assert.match(JSON.stringify(gpusOf({ text })), /unknown/, text);
});

const card = (index: number, foreign_percent: number | null, temperature_c: number | null) => ({
  index,
  foreign_percent,
  temperature_c,
});

const PMON = `# gpu         pid   type     sm    mem    enc    dec    jpg    ofa    command
# Idx           #    C/G      %      %      %      %      %      %    name
    0        4711     C+G     70     10      -      -      -      -    potluck
    0         900       G     20      5      -      -      -      -    Xorg
    1        4712       C      -      -      -      -      -      -    potluck
    2           -      -      -      -      -      -      -      -    -
`;

test('the load of own processes is no load of others, and where nobody tells whose it is no load is told', async () => {
  const asked: string[] = [];
  const look = (own: number[], gpu_pids: number[], pmon: string | null) => {
    const run: Run = async (_, ...words) => {
      asked.push(words[0]);
      if (words[0] !== 'pmon') return { text: '0, 93, 70\n1, 5, 50\n' };
      return pmon === null ? { failed: 'nvidia-smi: not supported' } : { text: pmon };
    };
    return gpuSource(run, { own_pids: () => own, gpu_pids: () => gpu_pids }).read();
  };
  assert.deepEqual(await look([4711], [], PMON), { gpus: { known: [card(0, 93, 70), card(1, 5, 50)] } });
  assert.equal(asked.length, 1, 'who uses no GPU asks for nothing more');
  const of = async (own: number[], pmon: string | null) => (await look(own, [4711], pmon)).gpus;
  assert.deepEqual(await of([1, 4711, 4712], PMON), { known: [card(0, 23, 70), card(1, 5, 50)] });
  for (const pmon of [null, '', PMON.replace('4711', '  12')]) {
    assert.deepEqual(await of([4711], pmon), { known: [card(0, null, 70), card(1, null, 50)] });
  }
});

// The service as a scheduled task of Windows: the Task Scheduler's schema (version 1.2), schtasks. Tried on no Windows: docs/devices.md says so.
import { win32 } from 'node:path';
import { CliError } from './output.ts';
import { RECORD, type ServicePlan, type ServiceSettings } from './service-plan.ts';
import { xmlText } from './service-xml.ts';

const TASK = 'Potluck';

export function windowsPlan({ node, potluck, folder, user }: ServiceSettings): ServicePlan {
  const path = win32.join(folder, 'task.xml');
  const schtasks = (verb: string, ...words: string[]) => ({ words: ['schtasks', `/${verb}`, '/TN', TASK, ...words] });
  return {
    files: [
      { path, text: taskText(user.name, [node, potluck, 'service', 'run', win32.join(folder, RECORD)]), utf16: true },
    ],
    made: [],
    install: [
      { ...schtasks('End'), may_fail: '' }, // of an earlier installation
      schtasks('Create', '/XML', path, '/F'),
      schtasks('Run'),
    ],
    stop: [
      { ...schtasks('End'), may_fail: 'it does not run' },
      { ...schtasks('Delete', '/F'), may_fail: 'the Task Scheduler does not know it' },
    ],
    after_removal: [],
    logs: 'own-file',
    status: 'own-file',
  };
}

/**
 * A word of a command line as CommandLineToArgvW reads it: backslashes count double before a quote. The Task Scheduler replaces `%NAME%` and
 * `$(…)` and knows no way to write them as they are.
 * Throws CliError bad-folder.
 */
export function argument(word: string): string {
  if (/%[^%]+%|\$\(/.test(word)) {
    throw new CliError(
      'bad-folder',
      `the Task Scheduler would replace a part of ${word}: a path without % and $( is needed`,
    );
  }
  return `"${word.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, '$1$1')}"`;
}

/**
 * The order of elements is that of the schema; where its pages and what Windows itself exports differ, only one of the two is written.
 * The console that a program of the command line would open is kept away by conhost.
 */
const taskText = (user: string, words: readonly string[]): string => `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Potluck lends this device, within the rules of "potluck device". Written by "potluck service install".</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <UserId>${xmlText(user)}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Owner">
      <UserId>${xmlText(user)}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>10</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>255</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Owner">
    <Exec>
      <Command>%SystemRoot%\\System32\\conhost.exe</Command>
      <Arguments>${xmlText(['--headless', ...words.map(argument)].join(' '))}</Arguments>
    </Exec>
  </Actions>
</Task>
`;

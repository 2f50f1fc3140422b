// The service as a LaunchAgent of macOS: launchd.plist(5), launchctl(1). Tried on no Mac: docs/devices.md says so.
import { posix } from 'node:path';
import { RECORD, type ServicePlan, type ServiceSettings } from './service-plan.ts';
import { xmlText } from './service-xml.ts';

const LABEL = 'potluck.service';
const { join } = posix;

export function launchdPlan({ node, potluck, folder, user }: ServiceSettings): ServicePlan {
  const path = join(user.home, 'Library', 'LaunchAgents', `${LABEL}.plist`);
  const domain = `gui/${user.uid}`;
  const bootout = (may_fail: string) => ({ words: ['launchctl', 'bootout', `${domain}/${LABEL}`], may_fail });
  return {
    files: [{ path, text: plistText([node, potluck, 'service', 'run', join(folder, RECORD)]) }],
    made: [],
    install: [
      bootout(''), // of an earlier installation
      { words: ['launchctl', 'enable', `${domain}/${LABEL}`] },
      { words: ['launchctl', 'bootstrap', domain, path] },
    ],
    stop: [bootout('launchd does not know it, or has stopped it already')],
    after_removal: [],
    logs: 'own-file',
    status: 'own-file',
  };
}

/** `service run` starts it again after a failure and keeps its log; launchd starts `service run` at login, and again should that be killed. */
const plistText = (words: readonly string[]): string => `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${words.map((word) => `    <string>${xmlText(word)}</string>`).join('\n')}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>60</integer>
  <key>ExitTimeOut</key>
  <integer>60</integer>
  <key>ProcessType</key>
  <string>Background</string>
  <key>Nice</key>
  <integer>20</integer>
  <key>LowPriorityIO</key>
  <true/>
  <key>Umask</key>
  <integer>63</integer>
</dict>
</plist>
`;

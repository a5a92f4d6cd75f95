// Programs that some tests need beside Node, and where they are looked for.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export const TOOLS = [
  { name: 'etcd', commands: ['etcd'], for: 'membership with etcd' },
  {
    name: 'chromium',
    commands: ['chromium', 'chromium-browser', 'google-chrome'],
    for: 'the page',
  },
  { name: 'promtool', commands: ['promtool'], for: 'metrics and alert rules' },
  { name: 'python3', commands: ['python3'], for: 'clients in other languages' },
];

export function missingTools() {
  return TOOLS.filter((tool) => !tool.commands.some(isOnPath));
}

function isOnPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

// `npm start`: builds what is missing or stale, then runs the node. npm skips `prestart` in some
// settings, so this does not rely on it. Arguments go to `holdfast start`.
import { build, isBuilt } from './build.js';

if (!isBuilt()) {
  process.stderr.write('building …\n');
  if (!build()) process.exit(1);
}
process.argv.splice(2, 0, 'start');
await import('../dist/main.js');

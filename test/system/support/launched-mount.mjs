// What bin/ckptfs starts for a plain mount; it lingers after everything was wiped, so that its memory can be searched.
import { mountForLauncher } from '../../../dist/cli/mount-here.js';

const LAUNCHER = 9;
const LINGER_SECONDS = 120;

await mountForLauncher(process.argv.slice(2), LAUNCHER, LINGER_SECONDS);

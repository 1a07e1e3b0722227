// Makes and opens slots with the secrets of the sources that it is given, wipes them, and waits to be looked into, for
// registry-no-trace.test.ts. It never has a secret as a string.
import { Secret } from '../../../../src/crypto/secret.ts';
import { openKeySource } from '../../../../src/keys/sources/registry.ts';
import { sourceProvider } from '../../../../src/keys/sources/source-provider.ts';

declare const gc: () => void;

const imageKey = Secret.random(32);
const imageId = Buffer.alloc(16, 4);
for (const uri of process.argv.slice(2)) {
  const provider = sourceProvider(await openKeySource(uri));
  const slot = await provider.wrap(imageKey, imageId);
  const opened = await provider.unwrap([slot], imageId);
  process.stdout.write(opened === undefined ? `${uri} did not open\n` : '');
  opened?.imageKey.wipe();
  provider.wipe();
}
// What jose made slots with is gone once it was collected.
await new Promise((resolve) => setImmediate(resolve));
gc();
process.stdout.write('ready\n');
process.stdin.resume();

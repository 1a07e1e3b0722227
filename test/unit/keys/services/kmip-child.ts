// Makes and opens a slot with each address that it is given, and waits to be looked into, for kmip-no-trace.test.ts. It
// never has a key as a string.
import { Secret } from '../../../../src/crypto/secret.ts';
import { openKeyService } from '../../../../src/keys/services/registry.ts';

declare const gc: () => void;

const [caFile, ...addresses] = process.argv.slice(2);
const imageId = Buffer.alloc(16, 4);
for (const address of addresses) {
  const provider = await openKeyService(address, { caFile });
  const imageKey = Secret.random(32);
  const slot = await provider.wrap(imageKey, imageId);
  const opened = await provider.unwrap([slot], imageId);
  if (opened === undefined) process.stdout.write(`${address} did not open\n`);
  opened?.imageKey.wipe();
  imageKey.wipe();
  provider.wipe();
}
// What jose made slots with is gone once it was collected.
await new Promise((resolve) => setImmediate(resolve));
gc();
process.stdout.write('ready\n');
process.stdin.resume();

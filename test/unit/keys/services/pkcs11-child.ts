// Makes and opens a slot by each of the keys that it is given, wipes them, prints the slots, and waits to be looked
// into, for pkcs11-no-trace.test.ts. It never has a PIN as a string.
import { Secret } from '../../../../src/crypto/secret.ts';
import { openKeyService } from '../../../../src/keys/services/registry.ts';

declare const gc: () => void;

const imageKey = Secret.random(32);
const imageId = Buffer.alloc(16, 4);
const slots: unknown[] = [];
for (const uri of process.argv.slice(2)) {
  const provider = await openKeyService(uri, {});
  await provider.prepare();
  // The module must stay loaded, though nothing of JavaScript holds what it was loaded by.
  await new Promise((resolve) => setImmediate(resolve));
  gc();
  const slot = await provider.wrap(imageKey, imageId);
  const opened = await provider.unwrap([slot], imageId);
  if (opened === undefined) throw new Error(`${uri} did not open`);
  opened.imageKey.wipe();
  provider.wipe();
  slots.push(slot);
}
imageKey.wipe();
// What jose made slots with is gone once it was collected.
await new Promise((resolve) => setImmediate(resolve));
gc();
process.stdout.write(`${JSON.stringify(slots)}\n`);
process.stdin.resume();

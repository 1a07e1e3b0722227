// Makes and opens a slot by each service that it is given, wipes all, prints the slots, and waits to be looked into,
// for service-no-trace.test.ts and pkcs11-no-trace.test.ts. It never has a secret as a string.
import { Secret } from '../../../../src/crypto/secret.ts';
import { openKeyService } from '../../../../src/keys/services/registry.ts';
import { parseHeaderField } from '../../../../src/keys/sources/https-headers.ts';

declare const gc: () => void;

const [caFile, header = '', ...services] = process.argv.slice(2);
const imageKey = Secret.random(32);
const imageId = Buffer.alloc(16, 4);
const slots: unknown[] = [];
for (const text of services) {
  const headers = text.startsWith('vault:') ? [parseHeaderField(header)] : [];
  const provider = await openKeyService(text, { caFile, headers, timeoutSeconds: 60 });
  await provider.prepare();
  // A module of a token must stay loaded, though nothing of JavaScript holds what it was loaded by.
  await new Promise((resolve) => setImmediate(resolve));
  gc();
  const slot = await provider.wrap(imageKey, imageId);
  const opened = await provider.unwrap([slot], imageId);
  if (opened === undefined) throw new Error(`${text} did not open`);
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

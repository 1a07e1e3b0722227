// Asks for a passphrase, for prompt.test.ts, which runs it on a terminal: argument `open` or `make`.
import { CkptfsError } from '../../../../src/base/errors.ts';
import { openKeySource } from '../../../../src/keys/sources/registry.ts';

try {
  const source = await openKeySource('passphrase:');
  const secret = await source.read(process.argv[2] === 'make' ? 'make' : 'open');
  process.stdout.write(`got ${Buffer.from(secret.bytes).toString('hex')}\n`);
} catch (error) {
  if (!(error instanceof CkptfsError)) throw error;
  process.stdout.write(`${error.code} ${JSON.stringify(error.data)} ${error.message}\n`);
  process.exitCode = 9;
}

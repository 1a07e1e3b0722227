import { expect, test } from 'vitest';
import { checkEphemeral } from '../../../../src/cli/options/ephemeral-option.ts';

const refused = (message: string): unknown => expect.objectContaining({ code: 'bad-argument', message });

test('an ephemeral mount is written, and takes no keys and no demands', () => {
  expect(() => checkEphemeral({ keyFile: [], force: false, trusted: [], imageId: undefined }, true)).not.toThrow();
  expect(() => checkEphemeral({}, false)).toThrow(refused('--ephemeral is for a mount that is written, by --write'));
  for (const [args, option] of [
    [{ keyFile: ['k'] }, '--key-file'],
    [{ recipient: ['r'] }, '--recipient'],
    [{ keyTtl: 60 }, '--key-ttl'],
    [{ keyLease: 60 }, '--key-lease'],
    [{ requireSignature: true }, '--require-signature'],
  ] as const) {
    const message = `${option}: an ephemeral mount has a key in memory alone, and takes no other`;
    expect(() => checkEphemeral(args, true)).toThrow(refused(message));
  }
});

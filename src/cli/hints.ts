import { type CkptfsError, type ErrorCode, ioErrorName, isFull } from '../base/errors.ts';
import type { KeyFileWarning } from '../keys/key-file.ts';
import { EndedBySignal } from './cancellation.ts';
import { CommandLineError, type CommandLineProblem } from './command-line-error.ts';

/**
 * What a user can do about an error, in sentences that may name commands and options of `ckptfs`. Errors only carry
 * facts, so that a program which uses the library is not told to run a command. A test holds every command and
 * option that is named here to the parser.
 */

type Hint = string | undefined;

/** Returns what to do about an error; undefined where its message is enough. */
export function hintFor(error: CkptfsError): Hint {
  if (error instanceof CommandLineError) return commandLineHint(error.problem);
  if (error instanceof EndedBySignal) return error.left;
  const known = hintByCode(error);
  const { state, lossy, image, mountPoint } = error.aftermath ?? {};
  switch (state) {
    case 'unsealed':
      if (lossy === true) return 'Run "ckptfs recover", which makes the rest usable.';
      return known ?? sealingHint(error, shellWord(image));
    case 'sealed-not-mounted':
      return known ?? `Mount it by "ckptfs mount ${shellWord(image)} ${shellWord(mountPoint)}".`;
    case 'not-mounted': {
      const warning = `Nothing is mounted on ${mountPoint}: what is written there is not encrypted.`;
      return known === undefined ? warning : `${known} ${warning}`;
    }
    default:
      return known;
  }
}

/** Returns a warning about a key file, with what to do about it. */
export function keyFileWarning({ reason, message, path }: KeyFileWarning): string {
  return reason === 'mode' ? `${message}: chmod 600 ${shellWord(path)}` : message;
}

const NAME_AN_IMAGE = 'Name the directory that "ckptfs encrypt" made.';
const NAME_A_NEW_DIRECTORY = 'Name a directory that does not exist, or an empty one of your own.';
const LOAD_FUSE = 'Load the kernel module (modprobe fuse); in a container, pass the device /dev/fuse in.';

const hints: { readonly [Code in ErrorCode]?: (error: CkptfsError<Code>) => Hint } = {
  'bad-argument': ({ data }) =>
    choose(data?.reason, {
      'relative-path': 'Change to a directory that exists, or name the path from the root directory on.',
      'inside-source': 'Name a destination outside of the source.',
      'private-key': 'Name its public key or certificate with --recipient.',
      'no-recipient': 'Name it with --recipient: a certificate, a public key, or a key or passphrase as for --key.',
      'key-slot': 'Name a number, a label or a thumbprint that "ckptfs key list" shows.',
      'image-id': '"ckptfs info ENC" shows it.',
      suite: 'Suite fips takes keys, passphrases, and public keys of RSA, P-256, P-384 and P-521.',
      transport: 'A mount that is to be locked needs --transport kernel.',
      'mount-option':
        'Known are key_file=FILE, key=SOURCE, private_key=FILE, key_dir=DIR, passphrase_file=FILE, image_id=ID, ' +
        'transport=NAME, workers=N, cache_size=BYTES, ' +
        'page_files=CHOICE, root_mode=MODE, key_ttl=TIME, key_lease=TIME, on_revoked=CHOICE, ' +
        'on_unreachable=CHOICE, key_grace=TIME, no_key_cache, audit_log=FILE, log_file=FILE, log_format=FORMAT, require_signature, trusted=WHO, min_epoch=N, ' +
        'epoch_file=FILE, ' +
        'scratch, write, verify, allow_other, allow_root, noexec, fsname=NAME, and the general options of fstab.',
    }),
  io: ({ data }) =>
    data?.reason === 'hard-links'
      ? 'Remove the other names, or copy the image with its contents and use the copy.'
      : undefined,
  exists: ({ data, path }) =>
    choose(data?.reason, {
      'not-empty': NAME_A_NEW_DIRECTORY,
      'not-a-directory': NAME_A_NEW_DIRECTORY,
      'not-own': NAME_A_NEW_DIRECTORY,
      'writable-by-others': `chmod go-w ${shellWord(path)}, or name one that does not exist.`,
      'other-image': 'Name another place, or replace what is there with --replace.',
      're-encryption': 'Let the re-encryption end by running it again, or shred that image by its own id first.',
      'not-vouched-for':
        'Run what was interrupted again, with the same keys and recipients and without --require-signature. Or remove ' +
        'this image once the one beside it is verified with a new key.',
    }),
  'unsupported-source': ({ data }) =>
    choose(data?.reason, {
      device: 'Remove it, or leave devices out with --skip-special.',
      'unsafe-member': 'Do not unpack it: no program that makes checkpoints writes such an archive.',
    }),
  'source-changed': () => 'Encrypt again when nothing writes to the checkpoint any more.',
  'bad-key-file': ({ data }) =>
    choose(data?.reason, {
      missing: 'Make a key file with `ckptfs keygen -o FILE`.',
      'no-terminal': 'Without a terminal, name a file that has it: passphrase:FILE.',
      'not-a-key': 'Make one with `ckptfs keygen -o FILE` or `openssl rand -hex 32 > FILE`.',
    }),
  'no-key': ({ data }) =>
    choose(data?.needs, {
      key: 'Name the key with --key-file FILE, or where it is with --key SOURCE.',
      passphrase: 'Give the passphrase: --key passphrase: asks for it, --passphrase-file FILE reads it.',
      'private-key': 'Name the private key of a recipient with --private-key FILE; "ckptfs key list" shows them.',
      'key-service': 'Name the service of keys with --key SERVICE; "ckptfs key list" shows where the key is.',
      'rsa-key': 'Name the private key of the certificate that CRIU encrypted for with --private-key FILE.',
    }),
  'wrong-key': ({ data }) =>
    data?.reason === 'untried'
      ? 'Name the key slot to try with --key-slot; "ckptfs key list" shows them.'
      : 'Give the key that this image was encrypted with.',
  untrusted: ({ data }) =>
    choose(data?.reason, {
      expired: 'Ask its owner for the renewed one.',
      'wrong-usage': 'Ask its owner for a certificate that was issued for this use.',
      weak: 'Ask its owner for one with an RSA key of 2048 bits or more, signed with SHA-256.',
      'unknown-issuer': 'Name a file of the certificates of its issuers, if you trust them.',
      unsigned: 'Someone who is trusted signs it with "ckptfs sign", after each seal.',
      foreign: 'Ask who signed it. If you trust the signer, name the key or certificate with --trusted.',
      altered: 'Do not use it. Get the image again from where it was signed.',
      'too-old': 'Get the newest version of the image: someone may have put an older one back.',
      replaced: 'Get that one instead: someone may have put the old one back.',
      'not-a-certificate': 'Name a certificate, or a file of several, as PEM or DER.',
    }),
  'forbidden-by-policy': ({ data, path }) =>
    choose(data?.reason, {
      'policy-file': `Have root mend it: no other user may own it or write to it: chmod go-w ${shellWord(path)}.`,
      suite: 'For a new image, name the suite with --suite; reencrypt takes an image into it.',
      'fips-provider': 'Name a configuration of OpenSSL that loads one: OPENSSL_CONF, see docs/security.md.',
      cipher: 'Name an allowed one with --cipher for a new image.',
      'key-source': 'Name a key from an allowed source; "ckptfs config" shows the policy.',
    }),
  'not-an-image': ({ data }) =>
    choose(data?.reason, {
      'not-a-directory': NAME_AN_IMAGE,
      'no-header': NAME_AN_IMAGE,
      ephemeral:
        'It is gone with its mount. What is left of it can be removed; "mount --write --ephemeral" takes its place.',
      shredded: 'Only a copy of its header from before, and a key for that, would open it.',
      'not-empty': 'A new image needs a directory that does not exist, or is empty.',
    }),
  unfinished: () => 'Its creation was interrupted. Remove it and encrypt again; the source was not touched.',
  unsealed: ({ data }) =>
    choose(data?.reason, {
      'written-or-interrupted':
        'Unmount it where it is being written; after a crash run "ckptfs seal", or "ckptfs recover" if that refuses.',
      losses: 'Run "ckptfs recover", which says what is lost and makes what is left usable.',
      // The path is that of the time when it was mounted: another image may be there now.
      'daemon-killed': `Run "ckptfs seal" on the image, unless it is ephemeral${placeOf(data?.source)}.`,
    }),
  locked: ({ data }) => {
    if (data?.holder === 'slot-change') return 'Try again.';
    if (data?.holder === 'watch') return 'Name another directory with --into, or end that process.';
    if (data?.holder === 're-encryption') return 'Wait until that ends.';
    return data?.holder === 'writer' && data.wanted === 'writing'
      ? 'An image has one writer at a time: unmount it there, or wait.'
      : 'An image has either readers or one writer: unmount it there ("ckptfs status" shows where), or wait.';
  },
  'unsupported-format': ({ data }) =>
    data?.reason === 'version' || data?.reason === 'suite' ? 'A newer ckptfs may read it.' : undefined,
  'wrong-image': ({ data }) =>
    data?.reason === 'replaced'
      ? 'It was moved or replaced meanwhile. Try again.'
      : 'Another image may have been put in its place.',
  'already-mounted': () => 'Unmount it first: ckptfs umount.',
  busy: ({ data }) =>
    choose(data?.reason, {
      'in-use': 'End what uses it and try again, or unmount it lazily (ckptfs umount --lazy).',
      'left-running': 'The image is sealed, or removed if it is ephemeral, when that ends; "ckptfs status" shows it.',
      'other-namespace':
        'What was written is sealed, or removed if it is ephemeral, when the last of them is gone; "ckptfs status" ' +
        'shows it.',
    }),
  'no-answer': ({ data }) =>
    choose(data?.reason, {
      mount: 'The process that serves it is stopped, frozen or very busy: let it continue, or unmount it.',
      helper: 'The process that serves the mount may be stopped or frozen: let it continue.',
      'daemon-stopped':
        'Let it go on (kill -CONT, or thaw its control group): then ' +
        `${data?.write === true ? 'it seals what was written and wipes' : 'it wipes'} its keys.`,
      'daemon-slow':
        'It is another user\'s, so nothing waits for it any longer; "ckptfs status" shows it while it seals.',
      'daemon-hidden':
        data?.write === true
          ? `It has no socket where this command looks. "ckptfs info" shows whether the image is sealed${placeOf(data.source)}.`
          : 'It has no socket where this command looks. It wipes its keys when the mount is not used any more.',
    }),
  'key-unavailable': ({ data }) =>
    choose(data?.reason, {
      'wrong-pin': 'Log in to the token once with the right PIN, by a tool of its own, and try again.',
      'pin-locked': 'Its security officer can give the token a new PIN.',
    }),
  'store-unavailable': ({ data }) =>
    choose(data?.reason, {
      denied: 'Name credentials that may do this; docs/remote.md says where they are looked for.',
      certificate: 'Name the certificates of its authority with --remote-ca-file.',
      timeout: 'Run it again: it goes on where it was. --remote-timeout gives a slow server more time.',
      unreachable: 'Run it again when the server is there: it goes on where it was.',
    }),
  'missing-feature': ({ data }) =>
    choose(data?.feature, {
      'fuse-device': LOAD_FUSE,
      'fuse-device-access': 'Let this user read and write it: chmod 0666 /dev/fuse.',
      'fuse-native': 'Install it with npm install fuse-native, or use the default transport.',
      'fips-provider':
        'Name its configuration in OPENSSL_CONF, by an absolute path: a daemon has no other directory and no NODE_OPTIONS.',
      'fuse-io-uring': 'Linux has it from 6.14 on, if it was built with it. The default transport needs nothing of it.',
      'fuse-io-uring-switch':
        'Have root switch it on: echo Y > /sys/module/fuse/parameters/enable_uring. Or use the default transport.',
      'io-uring':
        'Let this process use io_uring (sysctl kernel.io_uring_disabled; the seccomp filter of a container), or use the ' +
        'default transport.',
      fusermount: "Install it: the package is called 'fuse3' on Debian, Ubuntu, Fedora and Arch.",
      'user-allow-other':
        'Have root add the line user_allow_other to /etc/fuse.conf, mount as root, or leave --allow-other and ' +
        '--allow-root out.',
      keyring:
        'The seccomp filter of a container may forbid add_key(2) and keyctl(2): allow them, or use another source.',
      pkcs11: 'Name the module of the token: pkcs11:…?module-path=/PATH.',
      libzstd: "Install it: the package is 'libzstd1' on Debian and Ubuntu, 'libzstd' elsewhere. Or use Node.js 22.15.",
      liblz4: "Install it: the package is 'liblz4-1' on Debian and Ubuntu, 'lz4-libs' or 'lz4' elsewhere.",
      zstd: "Install it: the package is called 'zstd' everywhere. Or use Node.js 22.15 or newer.",
      leases: 'Have archives written on a local file system, or encrypt them by "ckptfs encrypt" when they are whole.',
      exchange: 'Name another directory for the new image: "ckptfs reencrypt ENC DST".',
      userfaultfd: 'Restore without --lazy-pages, or see what "ckptfs doctor" says of lazy restores.',
      'mount-namespace-right': 'Run it as root, or mount with "ckptfs mount" instead.',
    }),
  internal: ({ data }) => data?.logFile && `Its log is ${data.logFile}.`,
};

function choose<Word extends string>(word: Word | undefined, texts: { readonly [Each in Word]?: string }): Hint {
  return word && texts[word];
}

/** @param source where an image was at a time */
function placeOf(source: string | undefined): string {
  return source === undefined ? '' : `; when it was mounted it was ${source}`;
}

/** Looks up by a type parameter, so that the compiler sees that the error is of the code that the hint is for. */
function hintByCode<Code extends ErrorCode>(error: CkptfsError<Code>): Hint {
  return hints[error.code]?.(error);
}

/** @param image as a word of a shell */
function sealingHint(error: CkptfsError, image: string): string {
  if (isFull(error)) {
    const first = ioErrorName(error) === 'EFBIG' ? 'Raise that limit' : 'Make room there';
    return `${first}, then run "ckptfs seal ${image}".`;
  }
  const then = `run "ckptfs seal ${image}", or "ckptfs recover ${image}" if it refuses.`;
  return error.code === 'internal' ? `R${then.slice(1)}` : `When that is mended, ${then}`;
}

function commandLineHint(problem: CommandLineProblem): string {
  switch (problem.kind) {
    case 'usage':
      return problem.command === undefined ? 'See "ckptfs --help".' : `See "ckptfs ${problem.command} --help".`;
    case 'empty-value':
      return `Is a variable of the shell not set?${problem.isPath ? ' The current directory is ".".' : ''}`;
    case 'image-id':
      return '"ckptfs info ENC" shows it.';
    case 'no-command-to-run':
      return 'It comes after "--": ckptfs exec ENC -- COMMAND {}.';
  }
}

/** Quotes a path for a shell where that is needed: a path that another user chose must not be more than one word. */
export function shellWord(path = ''): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

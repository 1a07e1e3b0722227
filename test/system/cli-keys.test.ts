// Goal: images are made for certificates, keys and passphrases, and their key slots are changed, by commands alone.
// Method: the real commands, with keys and certificates that openssl made; outputs and exit codes are compared.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clear } from './support/mounts.ts';
import { describeIf } from './support/requirements.ts';
import { failure, success, Terminal, type Transcript } from './support/transcript.ts';

const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-cli-keys-')));
const terminal = new Terminal(base);
const at = (name: string): string => join(base, name);

/** Runs `ckptfs`, and names times and thumbprints in its output. */
function run(...words: string[]): Transcript {
  const { status, stdout, stderr } = terminal.runWithoutIds(...words);
  const named = stdout
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME                ')
    .replace(/[A-Za-z0-9_-]{43}/g, 'THUMBPRINT')
    .replace(/ +/g, ' ');
  return { status, stdout: named, stderr };
}

function openssl(...words: string[]): void {
  execFileSync('openssl', words, { cwd: base, stdio: 'pipe' });
}

/** Makes a private key NAME.pem and a certificate NAME.crt of the authority ca. */
function issue(name: string, key: readonly string[], days = '30'): void {
  openssl('req', '-newkey', ...key, '-nodes', '-keyout', `${name}.pem`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.pem',
    '-days',
    days,
    '-out',
    `${name}.crt`,
  );
}

const RSA = ['rsa:2048'] as const;
const P256 = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] as const;

beforeAll(() => {
  fs.mkdirSync(at('src'));
  fs.mkdirSync(at('mnt'));
  fs.writeFileSync(at('src/core-1.img'), 'core');
  openssl(
    'req',
    '-x509',
    '-newkey',
    ...P256,
    '-nodes',
    '-keyout',
    'ca.pem',
    '-out',
    'ca.crt',
    '-subj',
    '/CN=authority',
  );
  issue('host1', P256);
  issue('host2', RSA);
  openssl(
    'req',
    '-x509',
    '-newkey',
    ...P256,
    '-nodes',
    '-keyout',
    'x.pem',
    '-out',
    'foreign.crt',
    '-subj',
    '/CN=foreign',
  );
  expect(run('keygen', '-o', 'key')).toEqual(success());
  fs.writeFileSync(at('phrase'), 'correct horse battery staple\n', { mode: 0o600 });
  expect(run('encrypt', 'src', 'enc', '-r', 'host1.crt', '-r', 'host2.crt', '-k', 'key', '-q')).toEqual(success());
});

afterAll(() => fs.rmSync(base, { recursive: true }));

const cat = (...words: string[]): Transcript => run('cat', 'enc', 'core-1.img', ...words);

test('of more passphrases than are tried, the user is told, and names the slot', () => {
  const passphrases = Array.from({ length: 13 }, (_, number) => ['--key', `passphrase:cmd:echo ${number + 1}`]).flat();
  expect(run('encrypt', 'src', 'many', ...passphrases, '-q')).toEqual(success());
  const two = ['--key', 'passphrase:cmd:echo wrong', '--key', 'passphrase:cmd:echo 7'];
  const numbers = Array.from({ length: 13 }, (_, at) => at + 1).join(', ');
  expect(run('cat', 'many', 'core-1.img', ...two)).toEqual(
    failure(
      12,
      `passphrase:cmd:echo wrong does not open slots ${numbers} of this image; passphrase:cmd:echo 7 was not tried on slots ${numbers}, which would be too many iterations for one image. Name the key slot to try with --key-slot; "ckptfs key list" shows them.`,
    ),
  );
  expect(run('cat', 'many', 'core-1.img', ...two, '--key-slot', '7')).toEqual(success('core'));
  expect(run('cat', 'many', 'core-1.img', ...two, '--key-slot', '8')).toMatchObject({ status: 12, stdout: '' });
  expect(run('cat', 'many', 'core-1.img', ...two, '--key-slot', 'none')).toMatchObject({ status: 2, stdout: '' });
  expect(run('encrypt', 'src', 'vain', ...two, '--key-slot', '1')).toMatchObject({ status: 2, stdout: '' });
});

describe('what opens an image', () => {
  test('the key, or the private key of any recipient', () => {
    expect(cat('-k', 'key')).toEqual(success('core'));
    expect(cat('-i', 'host1.pem')).toEqual(success('core'));
    expect(cat('-i', 'host2.pem')).toEqual(success('core'));
    fs.mkdirSync(at('keys'));
    for (const name of ['x.pem', 'host2.pem']) fs.copyFileSync(at(name), at(`keys/${name}`));
    expect(cat('--key-dir', 'keys')).toEqual(success('core'));
    expect(cat('--key', 'file:key')).toEqual(success('core'));
    expect(terminal.shell('cd / && ckptfs cat "$OLDPWD/enc" core-1.img --key "cmd:cat $OLDPWD/key"')).toEqual(
      success('core'),
    );
  });

  test('not another private key', () => {
    expect(cat('-i', 'x.pem')).toEqual(
      failure(
        12,
        'private key x.pem does not open any of the 3 key slots of this image. Give the key that this image was encrypted with.',
      ),
    );
  });
});

describe('the key slots of an image', () => {
  test('are listed without a key', () => {
    expect(run('key', 'list', 'enc')).toEqual(
      success(
        'slot kind algorithm created expires thumbprint subject\n' +
          '1 key A256KW TIME - - -\n' +
          '2 certificate ECDH-ES+A256KW TIME TIME THUMBPRINT CN=host1\n' +
          '3 certificate RSA-OAEP-256 TIME TIME THUMBPRINT CN=host2\n',
      ),
    );
  });

  test('are added, labelled, replaced and removed', () => {
    fs.cpSync(at('enc'), at('changing'), { recursive: true });
    const change = (...words: string[]): Transcript => run('key', ...words, '-i', 'host1.pem');
    const added = change('add', 'changing', '-r', 'passphrase:phrase', '--label', 'break glass');
    expect(added.stdout.split('\n').at(-2)).toBe('4 break glass passphrase PBES2-HS512+A256KW TIME - - -');
    expect(run('cat', 'changing', 'core-1.img', '--passphrase-file', 'phrase')).toEqual(success('core'));
    expect(change('label', 'changing', '1', 'night').stdout.split('\n')[1]).toBe('1 night key A256KW TIME - - -');
    expect(change('remove', 'changing', 'night', '-q')).toEqual(success());
    expect(run('cat', 'changing', 'core-1.img', '-k', 'key')).toMatchObject({ status: 12 });
    expect(change('replace', 'changing', 'break glass', '-r', 'file:key').stdout).toContain('3 key A256KW');
    expect(run('cat', 'changing', 'core-1.img', '-k', 'key')).toEqual(success('core'));
  });

  test('a key is kept by the kernel for a time, until it is dropped', () => {
    expect(run('key', 'cache', 'enc', '-k', 'key', '--ttl', '1h')).toEqual(
      success('image ID: the kernel keeps its key for 3600 seconds\n'),
    );
    expect(cat()).toEqual(success('core'));
    expect(run('key', 'drop', 'enc')).toEqual(success('image ID: the kernel has dropped its key\n'));
    expect(cat()).toMatchObject({ status: 11 });
    expect(run('key', 'drop', 'enc')).toEqual(success('image ID: the kernel had not kept its key\n'));
  });

  test.each([
    [['add', 'enc'], 'no recipient is given for the new key slot'],
    [['remove', 'enc'], 'key remove: no key slot is named'],
    [['remove', 'enc', '9'], '9 is no slot of this image'],
    [['list', 'enc', '1'], 'key list: 1 is not expected'],
    [['label', 'enc', '1', 'x', '-r', 'host1.crt'], 'key label: --recipient is for add and replace'],
  ])('%j is refused', (words, message) => {
    const { status, stderr } = run('key', ...words, ...(words[0] === 'list' ? [] : ['-k', 'key']));
    expect([status, stderr]).toEqual([2, expect.stringContaining(`ckptfs: ${message}`)]);
  });
});

describe('shredding', () => {
  test('overwrites the key slots, and says what may still open copies', () => {
    fs.cpSync(at('enc'), at('shredded'), { recursive: true });
    const imageId = JSON.parse(terminal.run('info', 'shredded', '--json').stdout).imageId;
    expect(run('shred', 'shredded')).toEqual(
      failure(2, 'shred: the image is to be named by its id as well: --image-id. "ckptfs info ENC" shows it.'),
    );
    expect(run('shred', 'shredded', '--image-id', '0'.repeat(32))).toMatchObject({ status: 24 });
    const services = run('shred', 'shredded', '--image-id', imageId, '--destroy-key', 'file:key');
    expect(services).toEqual(failure(2, '--destroy-key: it names no service of keys.'));
    expect(run('cat', 'shredded', 'core-1.img', '-k', 'key')).toEqual(success('core'));
    expect(run('shred', 'shredded', '--image-id', imageId)).toEqual(
      success(
        'image ID: 3 key slots overwritten; nothing opens it here any more\n' +
          'copies of its header still open with what slot 1 was for: key\n' +
          'copies of its header still open with what slot 2 was for: certificate, CN=host1\n' +
          'copies of its header still open with what slot 3 was for: certificate, CN=host2\n' +
          'Not known: copies of the header that were made before, mounts on other hosts, and what was read from them.\n',
      ),
    );
    const left = run('cat', 'shredded', 'core-1.img', '-k', 'key');
    expect(left.status).toBe(20);
    expect(left.stderr).toMatch(/shredded: image ID was shredded at \S+: its key slots are gone\. Only a copy/);
  });
});

describe('recipients', () => {
  test('a private key is refused where an image is made', () => {
    expect(run('encrypt', 'src', 'new', '-i', 'host1.pem')).toEqual(
      failure(
        2,
        'a private key only opens images; a new one is made for its public key. Name its public key or certificate with --recipient.',
      ),
    );
    expect(fs.existsSync(at('new'))).toBe(false);
  });

  test('what cannot be checked is refused where certificates are checked', () => {
    openssl('x509', '-in', 'host1.crt', '-pubkey', '-noout', '-out', 'bare.pem');
    expect(run('encrypt', 'src', 'new', '--ca-file', 'ca.crt', '-r', 'bare.pem')).toEqual(
      failure(
        13,
        'public key bare.pem: it has no certificate, so that nothing can be checked. Name a certificate, or a file of several, as PEM or DER.',
      ),
    );
    const foreign = fs.readFileSync(at('foreign.crt'), 'utf8');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('beside')]);
    fs.writeFileSync(at('both.crt'), `${foreign}\n${fs.readFileSync(at('beside.pub'), 'utf8')}`);
    expect(run('encrypt', 'src', 'new', '--ca-file', 'ca.crt', '-r', 'both.crt')).toMatchObject({ status: 13 });
    expect(run('encrypt', 'src', 'new', '--ca-file', 'ca.crt')).toMatchObject({ status: 2 });
    expect(fs.existsSync(at('new'))).toBe(false);
  });

  test('a passphrase that cannot be read leaves no image', () => {
    const refused = run('encrypt', 'src', 'new', '-r', 'passphrase:gone');
    expect([refused.status, refused.stderr]).toEqual([10, expect.stringContaining('passphrase file gone')]);
    expect(fs.existsSync(at('new'))).toBe(false);
  });

  test('a certificate of an unknown issuer is refused, unless told otherwise', () => {
    const words = ['encrypt', 'src', 'forced', '--ca-file', 'ca.crt', '-q', '-r'];
    expect(run(...words, 'host1.crt')).toEqual(success());
    fs.rmSync(at('forced'), { recursive: true });
    const refused = run(...words, 'foreign.crt');
    expect([refused.status, refused.stderr]).toEqual([13, expect.stringContaining('foreign.crt')]);
    expect(fs.existsSync(at('forced'))).toBe(false);
    const forced = run(...words.filter((word) => word !== '-q'), 'foreign.crt', '--force');
    expect([forced.status, forced.stderr]).toEqual([0, expect.stringContaining('accepted by --force')]);
  });
});

describe('keys of SSH and age', () => {
  test('a list of recipients, and each of their private keys', () => {
    const make = (name: string, ...words: string[]): void => {
      execFileSync('ssh-keygen', ['-q', '-a', '2', '-f', name, '-C', `me@${name}`, ...words], { cwd: base });
    };
    make('id_ed25519', '-t', 'ed25519', '-N', 'correct horse battery staple');
    make('id_rsa', '-t', 'rsa', '-b', '2048', '-N', '');
    execFileSync('age-keygen', ['-o', 'age.txt'], { cwd: base, stdio: 'pipe' });
    const age = execFileSync('age-keygen', ['-y', 'age.txt'], { cwd: base, encoding: 'utf8' }).trim();
    const [ed25519, rsa] = ['id_ed25519.pub', 'id_rsa.pub'].map((name) => fs.readFileSync(at(name), 'utf8').trim());
    fs.writeFileSync(at('team'), `# team\n${ed25519}\nssh-dss AAAAB3NzaC1kc3M= old\n${age}\n`);
    const made = run('encrypt', 'src', 'ssh', '-r', 'team', '-r', rsa ?? '');
    expect([made.status, made.stderr]).toEqual([
      0,
      expect.stringContaining('line 3 of recipient team is an SSH key of the type ssh-dss'),
    ]);
    expect(run('key', 'list', 'ssh')).toEqual(
      success(
        'slot kind algorithm created thumbprint subject\n' +
          '1 ssh ECDH-ES+A256KW TIME THUMBPRINT me@id_ed25519\n' +
          '2 age ECDH-ES+A256KW TIME THUMBPRINT -\n' +
          '3 ssh RSA-OAEP-256 TIME THUMBPRINT me@id_rsa\n',
      ),
    );
    const open = (...words: string[]): Transcript => run('cat', 'ssh', 'core-1.img', ...words);
    expect(open('-i', 'id_ed25519', '--passphrase-file', 'phrase')).toEqual(success('core'));
    expect(open('-i', 'age.txt')).toEqual(success('core'));
    expect(open('-i', 'id_rsa')).toEqual(success('core'));
    const secret = fs.readFileSync(at('age.txt'), 'utf8').trim().split('\n').at(-1) ?? '';
    const refused = run('encrypt', 'src', 'new', '-r', secret);
    expect(refused).toMatchObject({ status: 10, stderr: expect.not.stringContaining(secret) });
  });
});

describeIf(['fuse'], 'a host that only dumps', () => {
  test('writes for a certificate, and cannot read or go on afterwards', () => {
    expect(run('mount', '--write', 'dumped', 'mnt', '-r', 'host1.crt', '-q')).toEqual(success());
    fs.writeFileSync(at('mnt/pages-1.img'), 'pages');
    expect(run('umount', 'mnt', '-q')).toEqual(success());
    clear(at('mnt'));
    const again = run('mount', '--write', 'dumped', 'mnt');
    expect([again.status, again.stderr]).toEqual([
      11,
      expect.stringContaining('Name the private key of a recipient with --private-key FILE'),
    ]);
    expect(run('mount', 'dumped', 'mnt', '-i', 'host1.pem', '-q')).toEqual(success());
    expect(fs.readFileSync(at('mnt/pages-1.img'), 'utf8')).toBe('pages');
    expect(run('key', 'add', 'dumped', '-i', 'host1.pem', '-r', 'host2.crt', '-q')).toEqual(success());
    expect(run('umount', 'mnt', '-q')).toEqual(success());
    expect(run('mount', 'dumped', 'mnt', '-o', 'private_key=host2.pem', '-q')).toEqual(success());
    expect(run('umount', 'mnt', '-q')).toEqual(success());
  });
});

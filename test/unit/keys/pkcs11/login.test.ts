// Goal: a PIN is tried once, and never where it could lock the token. Method: a module that counts its logins.
import { afterEach, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { CKR } from '../../../../src/keys/pkcs11/faults.ts';
import { logIn } from '../../../../src/keys/pkcs11/login.ts';
import { TokenModule } from '../../../../src/keys/pkcs11/module.ts';
import { Session } from '../../../../src/keys/pkcs11/session.ts';
import { CKF_TOKEN } from '../../../../src/keys/pkcs11/structures.ts';
import { readToken, type Token } from '../../../../src/keys/pkcs11/tokens.ts';
import { MadeModule, putTokenInfo, putUlong } from '../../../support/made-token-module.ts';

const READY = CKF_TOKEN.initialized | CKF_TOKEN.loginRequired | CKF_TOKEN.pinInitialized;

let made: MadeModule;
let module: TokenModule;
let slots = 0;
afterEach(() => {
  module.close();
  made.dispose();
});

/** Makes a token with flags, whose C_Login returns what it is told. Each has a slot of its own. */
function token(flags: number, login: number = CKR.OK): { token: Token; session: Session } {
  let isLoggedIn = false;
  made = new MadeModule({
    C_GetTokenInfo: (_slot, info) => {
      putTokenInfo(info, 'made', flags);
      return CKR.OK;
    },
    C_OpenSession: (_slot, _flags, _application, _notify, handle) => {
      putUlong(handle, 7);
      return CKR.OK;
    },
    C_GetSessionInfo: (_session, info) => {
      putUlong(info + 8, isLoggedIn ? 1 : 0);
      return CKR.OK;
    },
    C_Login: () => {
      isLoggedIn = login === CKR.OK;
      return login;
    },
  });
  module = TokenModule.open(process.execPath, '', () => made.functions);
  const slot = ++slots;
  return {
    token: { slot, info: readToken(module, slot), name: 'made' },
    session: new Session(module.functions, slot),
  };
}

async function reasonOf(login: Promise<void>): Promise<string> {
  const error = await login.then(
    () => new Error('it logged in'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CkptfsError && error.code === 'key-unavailable')) throw error;
  return error.data?.reason ?? '';
}

const readPin = async (): Promise<Secret> => Secret.copy(Buffer.from('1234'));
const logins = (): number => made.calls.get('C_Login') ?? 0;

test('a PIN that is refused is the last one for all of the process', async () => {
  const wrong = token(READY, CKR.PIN_INCORRECT);
  expect(await reasonOf(logIn(module, wrong.token, wrong.session, readPin))).toBe('wrong-pin');
  expect(await reasonOf(logIn(module, wrong.token, wrong.session, readPin))).toBe('wrong-pin');
  expect(logins()).toBe(1);
});

test('nothing is tried on a token that one more wrong PIN locks, nor on a locked one', async () => {
  const last = token(READY | CKF_TOKEN.pinFinalTry);
  expect(await reasonOf(logIn(module, last.token, last.session, readPin))).toBe('wrong-pin');
  expect(logins()).toBe(0);
  module.close();
  made.dispose();
  const locked = token(READY | CKF_TOKEN.pinLocked);
  expect(await reasonOf(logIn(module, locked.token, locked.session, readPin))).toBe('pin-locked');
  expect(logins()).toBe(0);
});

test('a token that locks itself at this PIN, one without a PIN, and one that needs none', async () => {
  const locking = token(READY, CKR.PIN_LOCKED);
  expect(await reasonOf(logIn(module, locking.token, locking.session, readPin))).toBe('pin-locked');
  module.close();
  made.dispose();
  const bare = token(CKF_TOKEN.initialized | CKF_TOKEN.loginRequired);
  expect(await reasonOf(logIn(module, bare.token, bare.session, readPin))).toBe('refused');
  module.close();
  made.dispose();
  const open = token(CKF_TOKEN.initialized);
  await logIn(module, open.token, open.session, undefined);
  expect(logins()).toBe(0);
});

test('logins at once ask for one PIN', async () => {
  const ready = token(READY);
  let asked = 0;
  const ask = (): Promise<Secret> => {
    asked++;
    return readPin();
  };
  await Promise.all([1, 2, 3].map(() => logIn(module, ready.token, ready.session, ask)));
  expect([asked, logins()]).toEqual([1, 1]);
});

test('a token with a keypad asks for its PIN itself', async () => {
  const pad = token(READY | CKF_TOKEN.pinPad);
  await logIn(module, pad.token, pad.session, undefined);
  expect(logins()).toBe(1);
});

import type { Secret } from '../../crypto/secret.ts';
import { CKR, keyUnavailable, ModuleFault } from './faults.ts';
import type { TokenModule } from './module.ts';
import { askForPin, type ReadPin } from './pin.ts';
import type { Session } from './session.ts';
import { CKF_TOKEN, CKU_USER } from './structures.ts';
import { readToken, type Token } from './tokens.ts';

/** The tokens that refused a PIN. Nothing in this process tries another, so that no loop can lock a token. */
const refusedPins = new Set<string>();

/** The last login, after which the next one begins: one that finds the token open needs no PIN. */
let lastLogin: Promise<unknown> = Promise.resolve();

/**
 * Logs in to a token that wants it, once for all of this process. A PIN is tried once, and never where the token says
 * that one more wrong PIN would lock it.
 * @throws CkptfsError `key-unavailable`, `bad-key-file`, `interrupted`; ModuleFault
 */
export function logIn(
  module: TokenModule,
  token: Token,
  session: Session,
  readPin: ReadPin | undefined,
): Promise<void> {
  const login = lastLogin.then(() => logInNow(module, token, session, readPin));
  lastLogin = login.catch(() => undefined);
  return login;
}

async function logInNow(
  module: TokenModule,
  token: Token,
  session: Session,
  readPin: ReadPin | undefined,
): Promise<void> {
  const { flags, serial } = readToken(module, token.slot);
  if ((flags & CKF_TOKEN.loginRequired) === 0 || session.isLoggedIn()) return;
  const name = `token ${token.name}`;
  const identity = `${module.path} ${token.slot} ${serial.toString('hex')}`;
  if (refusedPins.has(identity)) throw wrongPin(`${name} refused the PIN before, and no other is tried`);
  refuseUnlessOpenToPins(flags, name);
  const hasPad = (flags & CKF_TOKEN.pinPad) !== 0 && readPin === undefined;
  const pin = hasPad ? undefined : await (readPin ?? askForPin)(token.name);
  try {
    logInBy(session, pin, name, () => refusedPins.add(identity));
  } finally {
    pin?.wipe();
  }
}

function logInBy(session: Session, pin: Secret | undefined, name: string, onWrongPin: () => void): void {
  try {
    session.login(CKU_USER, pin);
  } catch (error) {
    if (!(error instanceof ModuleFault)) throw error;
    const { returned } = error;
    if (returned === CKR.PIN_LOCKED) throw locked(name, error);
    if (returned !== CKR.PIN_INCORRECT && returned !== CKR.PIN_LEN_RANGE && returned !== CKR.PIN_INVALID) throw error;
    onWrongPin();
    throw wrongPin(`${name} refuses the PIN, which is not tried again`, error);
  }
}

/** @throws CkptfsError `key-unavailable` for a token whose flags say that a PIN would be in vain, or the last one */
function refuseUnlessOpenToPins(flags: number, name: string): void {
  if ((flags & CKF_TOKEN.pinLocked) !== 0) throw locked(name);
  if ((flags & CKF_TOKEN.pinInitialized) === 0) throw keyUnavailable('refused', `${name} has no PIN for users yet`);
  if ((flags & CKF_TOKEN.pinFinalTry) === 0) return;
  throw wrongPin(`${name} would be locked by one more wrong PIN, so that none is tried`);
}

function locked(name: string, cause?: unknown) {
  return keyUnavailable('pin-locked', `the PIN of ${name} is locked after too many wrong ones`, cause);
}

function wrongPin(message: string, cause?: unknown) {
  return keyUnavailable('wrong-pin', message, cause);
}

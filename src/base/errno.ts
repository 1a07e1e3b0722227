import { constants } from 'node:os';

/** The error numbers of Linux (asm-generic/errno.h) that Node has no name for. */
const unnamed = {
  ENOTBLK: 15,
  ECHRNG: 44,
  EL2NSYNC: 45,
  EL3HLT: 46,
  EL3RST: 47,
  ELNRNG: 48,
  EUNATCH: 49,
  ENOCSI: 50,
  EL2HLT: 51,
  EBADE: 52,
  EBADR: 53,
  EXFULL: 54,
  ENOANO: 55,
  EBADRQC: 56,
  EBADSLT: 57,
  EBFONT: 59,
  ENONET: 64,
  ENOPKG: 65,
  EREMOTE: 66,
  EADV: 68,
  ESRMNT: 69,
  ECOMM: 70,
  EDOTDOT: 73,
  ENOTUNIQ: 76,
  EBADFD: 77,
  EREMCHG: 78,
  ELIBACC: 79,
  ELIBBAD: 80,
  ELIBSCN: 81,
  ELIBMAX: 82,
  ELIBEXEC: 83,
  ERESTART: 85,
  ESTRPIPE: 86,
  EUSERS: 87,
  ESOCKTNOSUPPORT: 94,
  EPFNOSUPPORT: 96,
  ESHUTDOWN: 108,
  ETOOMANYREFS: 109,
  EHOSTDOWN: 112,
  EUCLEAN: 117,
  ENOTNAM: 118,
  ENAVAIL: 119,
  EISNAM: 120,
  EREMOTEIO: 121,
  ENOMEDIUM: 123,
  EMEDIUMTYPE: 124,
  ENOKEY: 126,
  EKEYEXPIRED: 127,
  EKEYREVOKED: 128,
  EKEYREJECTED: 129,
  EOWNERDEAD: 130,
  ENOTRECOVERABLE: 131,
  ERFKILL: 132,
  EHWPOISON: 133,
} as const;

const numbers = { ...constants.errno, ...unnamed };

/** The name of an error number of the system, such as `ENOENT`. */
export type ErrnoName = keyof typeof numbers;

const names = new Map<number, ErrnoName>();
for (const [name, number] of Object.entries(numbers)) {
  if (!names.has(number)) names.set(number, name as ErrnoName);
}

/**
 * Returns the name of an error number, or undefined when Linux has no such number. Node itself knows fewer names: for
 * EDQUOT, its `code` is "Unknown system error -122".
 */
export function errnoName(number: number): ErrnoName | undefined {
  return names.get(number);
}

export function errnoNumber(name: ErrnoName): number {
  return numbers[name];
}

/** Returns whether a name is that of an error number. */
export function isErrnoName(name: string): name is ErrnoName {
  return Object.hasOwn(numbers, name);
}

/**
 * The refusal of a file operation, as a program learns of it: nothing has changed. An error of the store is a
 * CkptfsError instead. Each errno has one instance, so that throwing it costs no stack trace.
 */
export class Errno extends Error {
  override readonly name = 'Errno';
  readonly errno: number;
  readonly code: ErrnoName;

  private constructor(code: ErrnoName) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(code);
    Error.stackTraceLimit = limit;
    this.code = code;
    this.errno = errnoNumber(code);
  }

  static readonly #all = new Map<ErrnoName, Errno>();

  static of(code: ErrnoName): Errno {
    const known = Errno.#all.get(code);
    if (known !== undefined) return known;
    const made = new Errno(code);
    Errno.#all.set(code, made);
    return made;
  }
}

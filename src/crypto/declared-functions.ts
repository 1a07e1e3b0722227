import { CkptfsError } from '../base/errors.ts';
import { bind } from '../base/linux/native.ts';

/** C functions by the names that ckptfs gives them: symbol, type of the result, types of the parameters. */
export type Declarations = Readonly<Record<string, readonly [string, string, readonly string[]]>>;

type Arguments<Parameters extends readonly string[]> = {
  [At in keyof Parameters]: Parameters[At] extends 'str' ? string : number;
};

/** The bound functions of declarations. Pointers are numbers; a parameter of the type `str` takes a text. */
export type DeclaredFunctions<All extends Declarations> = {
  readonly [Name in keyof All]: (...args: Arguments<All[Name][2]>) => number;
};

/**
 * Binds functions of the OpenSSL that this Node process has.
 * @param what they are for, in the message
 * @throws CkptfsError `missing-feature` when one of them is missing
 */
export function bindDeclared<const All extends Declarations>(declarations: All, what: string): DeclaredFunctions<All> {
  try {
    const bound = Object.entries(declarations).map(([name, declared]) => [name, bindOne(declared)]);
    return Object.fromEntries(bound);
  } catch (cause) {
    const data = { feature: 'openssl' } as const;
    throw new CkptfsError('missing-feature', `the OpenSSL of this Node lacks functions for ${what}`, { data, cause });
  }
}

function bindOne([symbol, result, parameters]: Declarations[string]): ReturnType<typeof bind> {
  return bind(symbol, result, parameters);
}

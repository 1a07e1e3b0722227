import { noteSecretVariable, takeVariable } from './environment.ts';
import { keySource, type OpenSource } from './source.ts';

/** `env:NAME`: an environment variable, which is gone afterwards. */
export const openSource: OpenSource = (name) => {
  noteSecretVariable(name);
  return keySource(`env:${name}`, (into) => takeVariable(name, into));
};

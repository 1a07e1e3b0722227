import { claimVariable, takeVariable } from './environment.ts';
import { keySource, type OpenSource } from './source.ts';

/** `env:NAME`: an environment variable, which is gone from then on. */
export const openSource: OpenSource = (name) => {
  claimVariable(name);
  return keySource(`env:${name}`, (into) => takeVariable(name, into));
};

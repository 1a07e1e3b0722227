/**
 * Milliseconds after which a command that was started, or an event that is waited for, is taken to hang: none takes as
 * long on an idle machine by far, and this suite must pass on a loaded one. It is less than the bound of a whole test.
 */
export const PATIENCE = 300_000;

import { main } from '../cli/main.ts';

/** The command `ckptfs`. */
main(process.argv.slice(2));

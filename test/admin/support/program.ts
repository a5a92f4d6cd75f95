import { Command } from 'commander';
import { addAdminCommands } from '../../../src/admin/cli/commands.ts';

/** What main.ts makes of the commands, without the rest of it. */
const program = new Command('holdfast');
addAdminCommands(program);
await program.parseAsync();

import type { Command } from 'commander';
import { addChannelCommands } from './channels.ts';
import { addClusterCommands, addForgetCommand } from './cluster.ts';
import { addDiagnosisCommands } from './diagnosis.ts';
import { addFaultCommand } from './fault.ts';
import { addMessageCommands } from './messages.ts';
import { addConnectionsCommands } from './connections.ts';
import { addListenerCommands } from './listeners.ts';
import { addModerationCommands } from './moderation.ts';
import { addPastCommands } from './past.ts';
import { addReloadCommand } from './reload.ts';
import { addRetentionCommand } from './retention.ts';
import { addSubscriptionCommands } from './subscriptions.ts';
import { addUserCommands } from './users.ts';
import { addWebhookCommands } from './webhooks.ts';

/**
 * Adds the commands that talk to a running node over gRPC. Each reports its own errors in one line and sets
 * process.exitCode: 1 refused or failed, 2 wrong usage, 3 no answer.
 */
export function addAdminCommands(program: Command): void {
  addClusterCommands(program);
  addDiagnosisCommands(program);
  addForgetCommand(program);
  addFaultCommand(program);
  addSubscriptionCommands(program);
  addMessageCommands(program);
  addChannelCommands(program);
  addModerationCommands(program);
  addUserCommands(program);
  addPastCommands(program);
  addWebhookCommands(program);
  addRetentionCommand(program);
  addConnectionsCommands(program);
  addListenerCommands(program);
  addReloadCommand(program);
}

import type { ConnectionState } from '../core/kinds/connection.ts';

/** The messages of the kept connections; the proto says what every field means. */
export interface ConnectionInfo {
  readonly id: string;
  readonly kind: string;
  readonly target: string;
  readonly standing: Standing | null;
  readonly journal: readonly JournalEntry[];
}

export interface Standing {
  readonly state: ConnectionState;
  readonly version: number;
  readonly attempt: number;
  readonly owner: string;
  readonly enabled: boolean;
  readonly retries: number;
  readonly code: string;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  readonly reason: string;
  readonly pairedBy: string;
}

export interface JournalEntry {
  readonly from: string;
  readonly event: string;
  readonly actor: string;
  readonly node: string;
  readonly atMs: number;
  readonly after: Standing | null;
}

export interface ConnectionsRequest {
  readonly state: string;
}

export interface ConnectionsReply {
  readonly connections: readonly ConnectionInfo[];
}

export interface CreateConnectionRequest {
  readonly id: string;
  readonly kind: string;
  readonly target: string;
  readonly state: string;
  readonly actor: string;
}

export interface ConnectionRequest {
  readonly id: string;
}

export interface ActOnConnectionRequest {
  readonly id: string;
  readonly action: string;
  readonly actor: string;
}

export interface ReportConnectionRequest {
  readonly id: string;
  readonly attempt: number;
  readonly version: number;
  readonly to: string;
  readonly reason: string;
  readonly code: string;
  readonly actor: string;
}

export interface ConfirmPairingRequest {
  readonly id: string;
  readonly code: string;
  readonly actor: string;
}

export interface RollbackConnectionRequest {
  readonly id: string;
  readonly version: number;
  readonly actor: string;
}

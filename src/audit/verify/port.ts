import type { MemberId } from '../../core/ids.ts';
import type { SubscriptionDigest } from '../../messaging/port.ts';

/**
 * - running: not ended. ok: compared, equal. different: compared twice and more, not equal.
 * - unproven: it could not be compared (a member is silent, writes did not pause, a release without it).
 */
export type StepState = 'running' | 'ok' | 'different' | 'unproven';

/** One comparison of two layers, on one member. */
export interface VerifyStep {
  readonly member: MemberId;
  /** `sweep with node-2`, `disk`, `index`, `sockets`, `tables`. */
  readonly name: string;
  readonly state: StepState;
  readonly done: number;
  /** 0 where it is not known. */
  readonly total: number;
  /** For people; may be empty. */
  readonly detail: string;
}

export interface VerifyProgress {
  readonly steps: readonly VerifyStep[];
  /** Wall clock at which a whole run was last true, as this member knows; 0 for never. */
  readonly lastTrueMs: number;
  /** Absent while the run goes on. */
  readonly proved?: boolean | undefined;
}

export interface PassProgress {
  readonly done: number;
  readonly total: number;
}

/** One layer against the next inside this node, as a whole. Repairs what it finds, and counts it. */
export interface LayerPass {
  readonly name: string;
  readonly run: (
    onProgress: (progress: PassProgress) => void,
    signal: AbortSignal,
  ) => Promise<{ readonly differences: number; readonly detail?: string | undefined }>;
}

/** What the layers offer to a proof. */
export interface VerifyLayers {
  readonly digest: () => Promise<SubscriptionDigest>;
  /** Of the writes that `digest` sees: those on their way to the disk are among them. */
  readonly vectorHash: () => number;
  /** Sweeps with the peer until a sweep was clean: resolves with what was different before. */
  readonly sweepNow?: (
    peer: MemberId,
    signal: AbortSignal,
  ) => Promise<{ readonly clean: boolean; readonly detail?: string | undefined }>;
  readonly passes: readonly LayerPass[];
}

export interface Verifier {
  /** Yields whenever something has moved, and ends with `proved` set; the abort ends it early. */
  verify(signal: AbortSignal): AsyncGenerator<VerifyProgress>;
}

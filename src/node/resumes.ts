import { RecentMessages } from '../messaging/resume/recent-messages.ts';
import { ResumeService } from '../messaging/resume/resume.ts';
import type { Resumes } from '../messaging/resume/port.ts';
import type { RoutingIndex } from '../messaging/routing-index.ts';
import type { CorePorts } from './core.ts';
import type { ReplicatedStore } from '../storage/replica.ts';

/** What lets clients go on where they were, and what has to be told of each delivery for it. */
export function createResumes(
  { runtime, log }: Pick<CorePorts, 'runtime' | 'log'>,
  { replica, routing }: { readonly replica: ReplicatedStore; readonly routing: RoutingIndex },
): { readonly recent: RecentMessages; readonly resumes: Resumes } {
  const recent = new RecentMessages(replica.durableVector());
  const resumes = new ResumeService({
    ...{ replica, recent, clock: runtime.clock, log },
    channelsOf: (uid) => routing.channelsOf(uid),
  });
  return { recent, resumes };
}

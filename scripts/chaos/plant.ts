import type { TestCluster } from '../../test/support/cluster.ts';
import { LIVE_CHANNEL } from './messages.ts';
import { pause, type Element, type SetWorkload } from './workload.ts';

/**
 * What no cluster could mend, behind the checker's back: a run that plants one has to fail, which shows that the
 * checker sees what it looks for.
 */
export const PLANTS = ['lost-add', 'returned-removal', 'deaf-reader'] as const;
export type Plant = (typeof PLANTS)[number];

export interface Planted {
  readonly plant: Plant;
  /** The channel of what was lost or came back. */
  readonly channel: string;
}

const DEAF_MS = 1_500;

/** Resolves once it is done. Writers of the set have stopped; messages go on. */
export async function doPlant(
  plant: Plant,
  { cluster, workload }: { cluster: TestCluster; workload: SetWorkload },
): Promise<Planted> {
  switch (plant) {
    case 'lost-add':
      return { plant, channel: await loseAdd(cluster, workload) };
    case 'returned-removal':
      return { plant, channel: await returnRemoval(cluster, workload) };
    case 'deaf-reader':
      await deafen(cluster);
      return { plant, channel: LIVE_CHANNEL };
    default:
      return plant satisfies never;
  }
}

/** Its row goes from all disks at once: nobody is left to get it from. */
async function loseAdd(cluster: TestCluster, workload: SetWorkload): Promise<string> {
  const lost = workload.elements.find(
    ({ add, removal }) => add === 'acknowledged' && removal === 'none',
  );
  if (!lost) throw new Error('nothing was added that could be lost');
  await everywhere(cluster, lost, 'delete-row');
  return lost.channel;
}

/** Somebody else adds it again, which nobody tells the checker. */
async function returnRemoval(cluster: TestCluster, workload: SetWorkload): Promise<string> {
  const removed = workload.elements.find(({ removal }) => removal === 'acknowledged');
  if (!removed) throw new Error('nothing was removed that could come back');
  const { uid, channel: channelId } = removed;
  await cluster.admin(1).subscribe({ channelId, channelType: 2, uids: [uid] });
  return channelId;
}

async function everywhere(cluster: TestCluster, element: Element, kind: string): Promise<void> {
  const { uid, channel: channelId } = element;
  const fault = { kind, uid, channelId, channelType: 2 };
  await Promise.all(cluster.numbers.map((k) => cluster.admin(k).injectFault(fault)));
}

/** For a while the reader of node 1 is no subscriber, which nobody tells the checker. */
async function deafen(cluster: TestCluster): Promise<void> {
  const request = { channelId: LIVE_CHANNEL, channelType: 2, uids: ['reader-1'] };
  await cluster.admin(1).unsubscribe(request);
  await pause(DEAF_MS);
  await cluster.admin(1).subscribe(request);
}

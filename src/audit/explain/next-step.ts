import { channelIdOf, channelTypeOf } from '../../core/ids.ts';
import type { Case } from './case.ts';
import type { Finding, FindingCode } from './port.ts';

/** What the operator does about a verdict; a repair that comes by itself is said with its time. */
export function nextStep({ code }: Finding, asked: Case): string {
  const silent = asked.silent.map(({ member }) => member).join(' and ');
  const step = STEPS[code](wordsOf(asked));
  if (silent === '' || code === 'unknown') return step;
  return `${step}; start or resume ${silent}`;
}

interface Words {
  /** `user-7 room`, with the type where it is not a group. */
  readonly pair: string;
  readonly uid: string;
  readonly add: string;
  readonly silent: string;
}

function wordsOf({ uid, channel, silent }: Case): Words {
  const type = channelTypeOf(channel);
  const id = channelIdOf(channel);
  const option = type === 2 ? '' : ` --type ${type}`;
  return {
    uid,
    pair: `${uid} ${id}${option}`,
    add: `holdfast sub add --channel ${id}${option} --uid ${uid}`,
    silent: silent.map(({ member }) => member).join(' and '),
  };
}

type Step = (words: Words) => string;

const repair =
  (within: string): Step =>
  ({ pair }) =>
    `it is put right by itself within ${within}; at once: holdfast repair ${pair}`;
const subscribe: Step = ({ add }) => `if it should be: ${add}`;
const nothing: Step = () => 'nothing';

const STEPS: Readonly<Record<FindingCode, Step>> = {
  banned: ({ add }) => `if the ban was a mistake: lift it, then ${add}`,
  'row-damaged': repair('10 s'),
  'row-lost': repair('10 s'),
  'row-vanished': ({ add }) => `${add}, and look why all copies went: holdfast verify`,
  'row-unknown': ({ pair }) => `look at who wrote to that disk; then holdfast repair ${pair}`,
  'index-missing': repair('2 s'),
  'topic-missing': repair('10 s'),
  'row-behind': ({ pair }) => `wait for the link; then holdfast explain ${pair} again`,
  'removal-behind': ({ pair }) => `wait for the link; then holdfast explain ${pair} again`,
  'ban-diverges': repair('10 s'),
  'index-stale': repair('2 s'),
  'topic-stale': repair('10 s'),
  loading: ({ pair }) => `wait a second; then holdfast explain ${pair} again`,
  'reverse-missing': repair('10 s (180 s a million subscriptions)'),
  unsubscribed: subscribe,
  'never-subscribed': subscribe,
  'nobody-may-send': () => 'if that was a mistake: open the channel (/channel/info)',
  unknown: ({ silent }) =>
    `start or resume ${silent}; clients that notice connect to another node, and are seen here then`,
  offline: ({ uid }) => `nothing here; why ${uid} does not connect is to be seen at its client`,
  slow: () => 'the network or the client of that session does not keep up; others are not held up',
  'interest-missing': repair('10 s'),
  receives: nothing,
  silent: ({ silent }) => `start or resume ${silent}`,
  'catching-up': () => 'wait until it has caught up: holdfast members',
  'disk-failing': () => 'free or replace the disk; writes resume by themselves',
  'link-down': () => 'look at the network between the two: holdfast members at both',
  lagging: () => 'look at CPU and disk of the member that is behind',
  'may-not-send': nothing,
};

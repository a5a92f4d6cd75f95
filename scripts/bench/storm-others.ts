import { EasySocket } from './easy-socket.ts';
import { waitFor } from './process.ts';

/**
 * A process of its own, so that what it measures is not how busy whoever makes the storm is: a writer at one node
 * and a reader at another. `mark` begins anew, `report` is answered with the latencies since, in milliseconds.
 */
const CHANNEL = 'others';
const RATE = 50;

const [writerPort, readerPort] = process.argv.slice(2).map(Number);
let latencies: number[] = [];

const reader = await EasySocket.connect(readerPort!, 'other-reader');
reader.subscribe(CHANNEL);
await waitFor('the reader has subscribed', () => reader.replies === 1);
reader.onMessage = (frame) => {
  const at = frame.indexOf('"payload":"') + 11;
  const text = frame.toString('latin1', at, frame.indexOf(34, at));
  latencies.push(performance.now() - Number(Buffer.from(text, 'base64').toString()));
};
const writer = await EasySocket.connect(writerPort!, 'other-writer');
const beganMs = performance.now();
let sent = 0;
setInterval(() => {
  const now = performance.now();
  for (; sent < ((now - beganMs) / 1000) * RATE; sent++) {
    const payload = Buffer.from(String(now)).toString('base64');
    writer.publish(CHANNEL, payload, { clientMsgNo: `other-${sent}`, noPersist: false });
  }
}, 5);
process.on('message', (asked) => {
  if (asked === 'mark') latencies = [];
  else process.send!(latencies);
});
process.on('disconnect', () => process.exit());
process.send!('ready');

import uWS from 'uWebSockets.js';

/**
 * The bare server to compare with: native topics and nothing else. `S` + topic subscribes, `P` + topic +
 * space + frame publishes that frame. Prints its port.
 */
const decoder = new TextDecoder();
const app = uWS.App();
app.ws('/*', {
  compression: uWS.DISABLED,
  maxBackpressure: 64 * 1024 * 1024,
  maxPayloadLength: 64 * 1024,
  idleTimeout: 0,
  message(socket, data) {
    const bytes = new Uint8Array(data);
    if (bytes[0] === 83) {
      socket.subscribe(decoder.decode(bytes.subarray(1)));
      socket.send('{"ok":1}');
    } else if (bytes[0] === 80) {
      const space = bytes.indexOf(32);
      app.publish(decoder.decode(bytes.subarray(1, space)), bytes.subarray(space + 1), false);
    }
  },
});
app.listen('127.0.0.1', Number(process.argv[2] ?? 0), (socket) => {
  if (!socket) process.exit(1);
  console.log(`port ${uWS.us_socket_local_port(socket)}`);
});
